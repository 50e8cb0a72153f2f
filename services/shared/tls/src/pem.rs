//! Certificates and keys as they lie in files.

use std::io;
use std::path::Path;

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What is wrong with a file, beginning with its name.
fn at<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> io::Error {
    let path = path.display().to_string();
    move |error| io::Error::other(format!("{path}: {error}"))
}

/// A file's bytes.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path).map_err(at(path))
}

/// The certificates in it, at least one.
pub(crate) fn chain(path: &Path, text: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(at(path))?;
    if chain.is_empty() {
        return Err(at(path)("there is no certificate in it"));
    }
    Ok(chain)
}

/// The private key in it.
pub(crate) fn key(path: &Path, text: &[u8]) -> io::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(text).map_err(at(path))
}

/// The authorities in it, at least one.
pub(crate) fn authorities(path: &Path, text: &[u8]) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path, text)? {
        roots.add(certificate).map_err(at(path))?;
    }
    Ok(roots)
}

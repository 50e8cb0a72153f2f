//! Certificates made: an authority, and what it vouches for. Pure but for the keys, which are drawn here.

use std::io;
use std::ops::Range;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use data_encoding::HEXLOWER;
pub use rcgen::Error;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// A certificate and its private key, PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The key, PKCS #8.
    pub key: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Issued {
    /// As the files that [`Credentials`](crate::Credentials) reads, beside the authorities that its holder is to believe.
    pub fn write(&self, folder: &Path, authorities: &str) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("tls.crt"), &self.certificate)?;
        std::fs::write(folder.join("tls.key"), &self.key)?;
        std::fs::write(folder.join("ca.crt"), authorities)
    }
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Whose it is, for people.
    pub name: &'a str,
    /// The host names that it is good for.
    pub hosts: Vec<String>,
    /// What its holder does with it.
    pub uses: &'a [Use],
}

/// What a certificate is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// To be called.
    Server,
    /// To call.
    Client,
}

/// An authority of this title, good for a time. Its whole name has its key's digest in it, so that nobody takes one for another that
/// has the same title.
pub fn authority(title: &str, valid: Range<DateTime<Utc>>) -> Result<Issued, Error> {
    let pair = KeyPair::generate()?;
    let mut params = authority_params(title, &pair);
    set_validity(&mut params, valid);
    let made = params.self_signed(&pair)?;
    Ok(Issued { certificate: made.pem(), key: pair.serialize_pem() })
}

/// Whoever has an authority's key.
pub struct Signer(Issuer<'static, KeyPair>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// Of the authority of this title with this key, PEM.
    pub fn new(title: &str, key: &str) -> Result<Self, Error> {
        let pair = KeyPair::from_pem(key)?;
        // Only its name and its key's identifier go into what it signs, and both come from title and key.
        Ok(Self(Issuer::new(authority_params(title, &pair), pair)))
    }

    /// A certificate with a key of its own, good for a time.
    pub fn issue(&self, subject: Subject<'_>, valid: Range<DateTime<Utc>>) -> Result<Issued, Error> {
        let pair = KeyPair::generate()?;
        let mut params = CertificateParams::new(subject.hosts)?;
        params.distinguished_name = named(subject.name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = subject
            .uses
            .iter()
            .map(|purpose| match purpose {
                Use::Server => ExtendedKeyUsagePurpose::ServerAuth,
                Use::Client => ExtendedKeyUsagePurpose::ClientAuth,
            })
            .collect();
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, valid);
        let made = params.signed_by(&pair, &self.0)?;
        Ok(Issued { certificate: made.pem(), key: pair.serialize_pem() })
    }
}

fn authority_params(title: &str, pair: &KeyPair) -> CertificateParams {
    let digest = digest(&SHA256, pair.public_key_raw());
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("{title} {}", HEXLOWER.encode(&digest.as_ref()[..8])));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Whole days, and from the day before, since clocks differ.
fn set_validity(params: &mut CertificateParams, valid: Range<DateTime<Utc>>) {
    let day = |at: DateTime<Utc>| {
        let month = u8::try_from(at.month()).unwrap_or(1);
        date_time_ymd(at.year(), month, u8::try_from(at.day()).unwrap_or(1))
    };
    params.not_before = day(valid.start - TimeDelta::days(1));
    params.not_after = day(valid.end);
}

//! The certificates by which the containers know each other, and the CA that vouches for them and for nothing else: what the operator does
//! on a cluster (ADR 9), when a person asks for it.
//!
//! ```text
//! internal-ca/signer.pem           the present CA and its key; no container sees it
//! internal-ca/next.pem             another CA that is to take its place; everybody believes it already
//! internal-ca/previous.crt         the one before, believed until everybody shows certificates of the present one
//! internal-ca/<part>.issued        when a part's certificate is to be made anew, and which CA it is of; `signer.issued` says it of the CA
//! secrets/<part>-tls/              what a container mounts: tls.crt, tls.key, ca.crt
//! client-tls/                      the same for programs on this machine that call a container at a port of its own
//! ```
//!
//! Containers read the files every second, so that a certificate of the same CA replaces nothing, and another CA takes three steps with a
//! little time between them: believe both, show the other, believe the other alone.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Months, SecondsFormat, Utc};
use data_encoding::HEXLOWER;
use settings::{GATEWAY_NAME, ServiceName};
use stack::names;
use tls::issue::{Issued, Signer, Subject, Use, authority};

use crate::secret_files::SecretFiles;

const TITLE: &str = "Healthcare Stack internal CA";
const CA_YEARS: u32 = 10;
/// Before it is of this age, another is to take its place: what it vouches for then would outlive it.
const CA_YEARS_FRESH: u32 = 8;
/// Nothing here makes them anew by itself: a stack that is left alone for a year must not fall apart.
const LEAF_MONTHS: u32 = 24;
/// One of this age is made anew whenever the command runs.
const LEAF_MONTHS_FRESH: u32 = 4;

const SIGNER: &str = "signer";
const PRESENT: &str = "internal-ca/signer.pem";
const NEXT: &str = "internal-ca/next.pem";
const PREVIOUS: &str = "internal-ca/previous.crt";
const END: &str = "-----END CERTIFICATE-----\n";

/// Whoever calls containers from this machine. No part of the stack: what it may do is for its tokens to say, as with everybody.
const CLIENT: &str = "client";

/// The certificates of a folder that `healthcare compose` writes.
pub(super) struct Certificates<'a> {
    out: &'a Path,
    /// What no container sees.
    private: SecretFiles,
    shared: SecretFiles,
    now: DateTime<Utc>,
}

impl<'a> Certificates<'a> {
    pub(super) fn new(out: &'a Path, now: DateTime<Utc>) -> Self {
        let (private, shared) = (out.to_path_buf(), out.to_path_buf());
        Self { out, private: SecretFiles::private(private), shared: SecretFiles::for_containers(shared), now }
    }

    /// Makes what is not there, and anew what has not long to go.
    pub(super) fn keep(&self) -> Result<()> {
        self.private.keep_once(PRESENT, || self.authority().map(Into::into))?;
        self.issue(|certificate| self.is_due(certificate))
    }

    /// Puts another CA in the place of the present one, and certificates of it in the place of all. `wait` returns when whoever runs has read
    /// what was written. Broken off anywhere, the next run goes on where this one stopped.
    pub(super) fn renew(&self, wait: impl Fn()) -> Result<()> {
        self.private.keep_once(PRESENT, || self.authority().map(Into::into))?;
        if !self.is_there(PREVIOUS) || self.is_there(NEXT) {
            self.private.keep_once(NEXT, || self.authority().map(Into::into))?;
            self.issue(|_| false)?;
            wait();
            self.private.keep(PREVIOUS, certificate_in(&self.read(PRESENT)?)?.as_bytes())?;
            std::fs::rename(self.out.join(NEXT), self.out.join(PRESENT))?;
        }
        self.issue(|_| true)?;
        wait();
        self.private.forget(PREVIOUS)?;
        self.issue(|_| false)
    }

    /// Whether the CA is so old that another is to take its place.
    pub(super) fn is_ca_old(&self) -> Result<bool> {
        Ok(self.kept(SIGNER)?.is_some_and(|ca| self.is_due(&ca)))
    }

    fn authority(&self) -> Result<Vec<u8>> {
        let valid = self.now..self.now + Months::new(12 * CA_YEARS);
        let Issued { certificate, key } = authority(TITLE, valid).map_err(Error::other)?;
        Ok(format!("{certificate}{key}").into_bytes())
    }

    /// Writes whom everybody believes, and the certificates that are to be made anew, or are of a CA that nobody has any more.
    fn issue(&self, is_wanted: impl Fn(&Kept) -> bool) -> Result<()> {
        let present = self.read(PRESENT)?;
        let certificate = certificate_in(&present)?;
        let issuer = HEXLOWER.encode(digest(&SHA256, certificate.as_bytes()).as_ref());
        let signer = Signer::new(TITLE, &present[certificate.len()..]).map_err(Error::other)?;
        if self.kept(SIGNER)?.is_none_or(|ca| ca.issuer != issuer) {
            self.note(SIGNER, Months::new(12 * CA_YEARS_FRESH), &issuer)?;
        }
        let mut believed = certificate.to_owned();
        for other in [NEXT, PREVIOUS] {
            if self.is_there(other) {
                believed.push_str(certificate_in(&self.read(other)?)?);
            }
        }
        let parts = ServiceName::ALL.map(ServiceName::as_str);
        for name in parts.into_iter().chain([GATEWAY_NAME, CLIENT]) {
            let holder = Holder::of(name);
            let kept = self.kept(name)?.filter(|kept| kept.issuer == issuer && !is_wanted(kept));
            let is_whole =
                ["tls.crt", "tls.key"].iter().all(|file| self.is_there(&format!("{}/{file}", holder.folder)));
            if kept.is_none() || !is_whole {
                self.write(&holder, &signer, &issuer)?;
            }
            self.files(&holder).keep(&format!("{}/ca.crt", holder.folder), believed.as_bytes())?;
        }
        Ok(())
    }

    fn write(&self, holder: &Holder, signer: &Signer, issuer: &str) -> Result<()> {
        let subject = Subject { name: holder.name, hosts: holder.hosts.clone(), uses: holder.uses };
        let valid = self.now..self.now + Months::new(LEAF_MONTHS);
        let Issued { certificate, key } = signer.issue(subject, valid).map_err(Error::other)?;
        let files = self.files(holder);
        files.keep(&format!("{}/tls.key", holder.folder), key.as_bytes())?;
        files.keep(&format!("{}/tls.crt", holder.folder), certificate.as_bytes())?;
        self.note(holder.name, Months::new(LEAF_MONTHS_FRESH), issuer)
    }

    fn note(&self, name: &str, fresh: Months, issuer: &str) -> Result<()> {
        let renew_at = (self.now + fresh).to_rfc3339_opts(SecondsFormat::Secs, true);
        self.private.keep(&issued(name), format!("{renew_at} {issuer}\n").as_bytes())
    }

    /// What is known of a certificate. One of which nothing is known is made anew.
    fn kept(&self, name: &str) -> Result<Option<Kept>> {
        match self.read(&issued(name)) {
            Ok(text) => Ok(text.trim().split_once(' ').and_then(|(renew_at, issuer)| {
                let renew_at = DateTime::parse_from_rfc3339(renew_at).ok()?.to_utc();
                Some(Kept { renew_at, issuer: issuer.to_owned() })
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_due(&self, certificate: &Kept) -> bool {
        self.now >= certificate.renew_at
    }

    fn files(&self, holder: &Holder) -> &SecretFiles {
        if holder.name == CLIENT { &self.private } else { &self.shared }
    }

    fn is_there(&self, name: &str) -> bool {
        self.out.join(name).exists()
    }

    fn read(&self, name: &str) -> Result<String> {
        std::fs::read_to_string(self.out.join(name))
    }
}

/// What was noted of a certificate when it was made.
struct Kept {
    renew_at: DateTime<Utc>,
    issuer: String,
}

/// Whose a certificate is.
struct Holder {
    name: &'static str,
    folder: String,
    hosts: Vec<String>,
    uses: &'static [Use],
}

impl Holder {
    fn of(name: &'static str) -> Self {
        if name == CLIENT {
            return Self { name, folder: "client-tls".to_owned(), hosts: Vec::new(), uses: &[Use::Client] };
        }
        Self {
            name,
            folder: format!("secrets/{}", names::tls(name)),
            // Its name on the network of the containers, and what it is called at a port of this machine.
            hosts: vec![name.to_owned(), "localhost".to_owned()],
            uses: &[Use::Server, Use::Client],
        }
    }
}

fn issued(name: &str) -> String {
    format!("internal-ca/{name}.issued")
}

/// The certificate that a file begins with.
fn certificate_in(text: &str) -> Result<&str> {
    let end = text.find(END).ok_or_else(|| Error::other("internal-ca: there is no certificate in a file"))?;
    Ok(&text[..end + END.len()])
}

#[cfg(test)]
mod tests;

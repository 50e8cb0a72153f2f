//! [`Server`]: where the database is and how its administrator connects.

use std::fmt::Write;

use form_urlencoded::byte_serialize;

/// Where the CA certificate is mounted in what connects as one of the stack's roles.
const CA_FILE: &str = "/var/run/healthcare/secrets/database/ca.crt";
/// Where it is mounted in what connects as administrator.
const ADMIN_CA_FILE: &str = "/var/run/healthcare/secrets/database-admin/ca.crt";
/// libpq's limit on a line of a service file is 1024 bytes.
const VALUE_BYTES_MAX: usize = 900;

/// Where the database is and how its administrator connects.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Host name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// The administrator.
    pub user: String,
    /// The administrator's password.
    pub password: String,
    /// The CA certificates to believe, PEM.
    pub ca: String,
    /// Whether the host's name is checked beside the certificate.
    pub checks_host: bool,
}

/// Why a connection URL will not do. Shows nothing of it: it holds a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Not `postgres://user:password@host[:port]/database`.
    #[error("it is not of the form postgres://user:password@host:port/database")]
    Form,
    /// It asks for less than a verified certificate.
    #[error("its sslmode must be verify-full (which is also meant when it is left out) or verify-ca")]
    Unverified,
    /// A parameter that we would have to pass on everywhere.
    #[error("it has a parameter other than sslmode and sslrootcert")]
    Parameter,
    /// Something in it cannot stand in a PostgreSQL service file.
    #[error("a part of it has a line break, or blanks at its end, or more than 900 bytes")]
    Value,
}

impl Server {
    /// From the URL of somebody else's database. `sslrootcert` is left aside: the certificate is the one in the Secret.
    pub fn from_url(url: &str, ca: String) -> Result<Self, BadUrl> {
        let url = url.trim_end_matches(['\r', '\n']);
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or(BadUrl::Form)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').ok_or(BadUrl::Form)?;
        let (user, host) = authority.rsplit_once('@').ok_or(BadUrl::Form)?;
        let (user, password) = user.split_once(':').ok_or(BadUrl::Form)?;
        let (host, port) = host_and_port(host)?;
        let server = Self {
            host,
            port,
            database: decoded(database)?,
            user: decoded(user)?,
            password: decoded(password)?,
            ca,
            checks_host: checks_host(query)?,
        };
        let values = [&server.host, &server.database, &server.user, &server.password];
        if values.iter().any(|value| value.is_empty()) {
            return Err(BadUrl::Form);
        }
        let fits = |value: &&String| {
            value.len() <= VALUE_BYTES_MAX
                && !value.contains(['\r', '\n', '\0'])
                && value.trim() == value.as_str()
        };
        if values.iter().all(fits) { Ok(server) } else { Err(BadUrl::Value) }
    }

    const fn sslmode(&self) -> &'static str {
        if self.checks_host { "verify-full" } else { "verify-ca" }
    }

    /// The URL with which one of the stack's roles connects.
    pub(super) fn url(&self, user: &str, password: &str) -> String {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!(
            "postgres://{}:{}@{host}:{}/{}?sslmode={}&sslrootcert={CA_FILE}",
            encoded(user),
            encoded(password),
            self.port,
            encoded(&self.database),
            self.sslmode(),
        )
    }

    /// The same for libpq, as a service file: neither an argument nor a variable of the environment holds the password.
    pub(super) fn service_file(&self, user: &str, password: &str, ca_file: &str) -> String {
        let mut text = format!("[{SERVICE}]\n");
        let port = self.port.to_string();
        for (key, value) in [
            ("host", self.host.as_str()),
            ("port", &port),
            ("dbname", &self.database),
            ("user", user),
            ("password", password),
            ("sslmode", self.sslmode()),
            ("sslrootcert", ca_file),
            ("connect_timeout", "10"),
        ] {
            // Writing into a string does not fail.
            let _ = writeln!(text, "{key}={value}");
        }
        text
    }

    /// How the administrator connects.
    pub(super) fn admin_service_file(&self) -> String {
        self.service_file(&self.user, &self.password, ADMIN_CA_FILE)
    }

    /// How one of the stack's own roles connects that uses PostgreSQL's programs.
    pub(super) fn role_service_file(&self, user: &str, password: &str) -> String {
        self.service_file(user, password, CA_FILE)
    }
}

/// The name under which a connection stands in a service file: `PGSERVICE`.
pub const SERVICE: &str = "database";

fn host_and_port(text: &str) -> Result<(String, u16), BadUrl> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(5432), |port| port.parse().map_err(|_| BadUrl::Form))?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    if host.is_empty() || !host.bytes().all(known) {
        return Err(BadUrl::Form);
    }
    Ok((host.to_owned(), port))
}

fn checks_host(query: &str) -> Result<bool, BadUrl> {
    let mut checks = true;
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match (key.as_ref(), value.as_ref()) {
            ("sslmode", "verify-full") | ("sslrootcert", _) => {}
            ("sslmode", "verify-ca") => checks = false,
            ("sslmode", _) => return Err(BadUrl::Unverified),
            _ => return Err(BadUrl::Parameter),
        }
    }
    Ok(checks)
}

/// Undoes percent-encoding. A plus stands for itself, unlike in a query.
fn decoded(text: &str) -> Result<String, BadUrl> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).ok_or(BadUrl::Form)?;
        bytes.extend(data_encoding::HEXLOWER_PERMISSIVE.decode(digits).map_err(|_| BadUrl::Form)?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| BadUrl::Form)
}

//! [`DatabaseUrl`]: which PostgreSQL, as whoever starts the stack says it. Its password comes in a file or on standard input and never in the command
//! line, which everybody on the machine can read; and what goes to another machine goes to one that has shown who it is.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use contracts::secret::Secret;
use db::sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::fault::Fault;

/// Longer than any URL, and short enough to be read from anything.
const URL_BYTES_MAX: u64 = 8 * 1024;
/// What stands for standard input.
const STDIN: &str = "-";

/// The options that name a database.
#[derive(clap::Args, Debug, Default)]
pub struct DatabaseUrl {
    /// The PostgreSQL that keeps the data, a schema for each service, instead of files. Without a password in it.
    #[arg(long, value_name = "URL", hide_env_values = true, conflicts_with = "database_url_file")]
    pub database_url: Option<Secret>,
    /// The same, read from a file, or from standard input if that is `-`: with its password.
    #[arg(long, value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
}

impl DatabaseUrl {
    /// Whether one is named.
    pub fn is_given(&self) -> bool {
        self.database_url.is_some() || self.database_url_file.is_some()
    }

    /// The URL, if one is named. What is wrong with it is told without a word of it.
    pub fn read(&self) -> Result<Option<Secret>, Fault> {
        let url = match (&self.database_url, &self.database_url_file) {
            (Some(url), _) if has_password(url.reveal()) => {
                return Err(Fault::asked(
                    "--database-url has a password in it, which everybody on this machine can read: put the URL into a file, and give \
                     --database-url-file FILE, or - and the URL on standard input",
                ));
            }
            (Some(url), _) => url.clone(),
            (None, Some(file)) => read(file)?,
            (None, None) => return Ok(None),
        };
        check(url.reveal())?;
        Ok(Some(url))
    }
}

fn read(file: &Path) -> Result<Secret, Fault> {
    let unreadable = |error: io::Error| {
        Fault::asked(format!("the database URL cannot be read: {}: {error}", file.display()))
    };
    let mut text = String::new();
    let source: Box<dyn Read> = if file.as_os_str() == STDIN {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).map_err(unreadable)?)
    };
    source.take(URL_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    match text.trim() {
        "" => Err(Fault::asked(format!("the database URL cannot be read: {}: it is empty", file.display()))),
        url => Ok(Secret::new(url)),
    }
}

/// Whether a URL has a password in it, in either of the two places that PostgreSQL's URLs have for one.
fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = authority.split('/').next().unwrap_or_default();
    let in_authority = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    in_authority || query.split('&').any(|pair| pair.starts_with("password="))
}

/// Refuses what is no URL of a PostgreSQL, and a server on another machine that anybody could stand in for.
fn check(url: &str) -> Result<(), Fault> {
    // The parser's complaint may quote the URL.
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        Fault::asked("the database URL is none; write one such as postgres://user:password@host/database")
    })?;
    let is_here = options.get_socket().is_some() || is_this_machine(options.get_host());
    if is_here || matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
        return Ok(());
    }
    Err(Fault::asked(format!(
        "the database at {} is another machine's, so it must show who it is: add sslmode=verify-full to its URL, and sslrootcert=FILE if \
         its certificate is of an authority of your own",
        options.get_host()
    )))
}

/// A socket's folder, a name that always means this machine (RFC 6761 §6.3), or an address that does.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.starts_with('/')
        || host == "localhost"
        || address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(url: &str) -> DatabaseUrl {
        DatabaseUrl { database_url: Some(Secret::new(url)), database_url_file: None }
    }

    fn in_a_file(url: &str) -> DatabaseUrl {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, url.as_bytes()).unwrap();
        DatabaseUrl { database_url: None, database_url_file: Some(file.keep().unwrap().1) }
    }

    #[test]
    fn a_password_is_taken_from_a_file_alone() {
        for url in [
            "postgres://clinic:CANARY@localhost/clinic",
            "postgresql://clinic:CANARY@localhost",
            "postgres://clinic:CAN@ARY@localhost/clinic",
            "postgres://clinic@localhost/clinic?sslmode=disable&password=CANARY",
            "postgres://clinic@localhost?password=CANARY",
        ] {
            let refused = given(url).read().unwrap_err();
            assert!(refused.exit_code() == 2 && refused.to_string().contains("--database-url-file"), "{url}");
            assert!(!refused.to_string().contains("CAN"), "{refused}");
            let file = in_a_file(&format!("{url}\n"));
            assert_eq!(file.read().unwrap().unwrap().reveal(), url);
            std::fs::remove_file(file.database_url_file.unwrap()).unwrap();
        }
        for url in [
            "postgres://clinic@localhost/clinic",
            "postgres://localhost:5432/a:b@c",
            "postgres:///clinic?host=/run/postgresql",
        ] {
            assert_eq!(given(url).read().unwrap().unwrap().reveal(), url);
        }
    }

    #[test]
    fn another_machine_must_show_who_it_is() {
        for host in
            ["db.example.org", "10.0.0.7", "[2001:db8::7]", "localhost.example.org", "127.example.org"]
        {
            for mode in ["", "?sslmode=disable", "?sslmode=prefer", "?sslmode=require", "?sslmode=verify-ca"]
            {
                let refused = given(&format!("postgres://clinic@{host}/clinic{mode}")).read().unwrap_err();
                assert!(refused.exit_code() == 2 && refused.to_string().contains("verify-full"), "{refused}");
            }
            let good = format!("postgres://clinic@{host}/clinic?sslmode=verify-full");
            assert!(given(&good).read().is_ok(), "{host}");
        }
        // What the query says counts for more than what stands before it, as for whoever connects.
        assert!(given("postgres://clinic@localhost/clinic?host=db.example.org").read().is_err());
        for here in [
            "postgres://clinic@localhost/clinic",
            "postgres://clinic@127.0.0.2/clinic",
            "postgres://clinic@[::1]/clinic",
            "postgres://clinic@%2Frun%2Fpostgresql/clinic",
            "postgres://clinic@db.example.org/clinic?host=/run/postgresql",
        ] {
            assert!(given(here).read().is_ok(), "{here}");
        }
    }

    #[test]
    fn what_is_no_url_is_told_without_a_word_of_it() {
        for text in ["", " \n", "CANARY", "postgres://clinic:CANARY@host:port/"] {
            let file = in_a_file(text);
            let refused = file.read().unwrap_err();
            assert!(refused.exit_code() == 2 && !refused.to_string().contains("CANARY"), "{refused}");
            std::fs::remove_file(file.database_url_file.unwrap()).unwrap();
        }
        let none = DatabaseUrl { database_url: None, database_url_file: Some("/nowhere/url".into()) };
        assert!(none.read().unwrap_err().to_string().contains("/nowhere/url"));
        assert!(DatabaseUrl::default().read().unwrap().is_none());
    }
}

//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::database_url::DatabaseUrl;

/// Runs a HealthcareStack in one process.
#[derive(clap::Parser, Debug)]
#[command(name = "healthcare", version, about)]
pub enum Command {
    /// Start the stack that a HealthcareStack file describes, and keep to the file while it runs.
    Up(Box<Up>),
    /// Write what docker-compose.yml mounts: settings, and secrets where there are none yet. Again after a change of the file.
    Compose {
        /// The HealthcareStack, YAML.
        #[arg(long, value_name = "FILE")]
        stack: PathBuf,
        /// Where to; made if it is not there, for this user alone.
        #[arg(long, value_name = "DIR", default_value = "data/compose")]
        out: PathBuf,
        /// Have another CA vouch for the certificates by which the containers know each other, and make all of them anew, while they run or
        /// not. Without it only those are made anew that are four months old.
        #[arg(long)]
        renew: bool,
    },
    /// Put another key-encryption key in the place of the present one, and wrap every patient's key under it, while the stack runs or not. No data is
    /// written anew.
    RotateKek(RotateKek),
    /// Look after the audit of a stack, while it runs or not.
    #[command(subcommand)]
    Audit(Audit),
    /// Sign users' tokens with another key from now on, while the stack runs or not. Nobody has to sign in again.
    RotateSigningKey(RotateSigningKey),
    /// Tell whether a HealthcareStack file is valid, and every fault if it is not.
    Check {
        /// The HealthcareStack, YAML.
        #[arg(long, value_name = "FILE")]
        stack: PathBuf,
    },
}

/// `healthcare audit`
#[derive(clap::Subcommand, Debug)]
pub enum Audit {
    /// Tell whether the audit is as it was written, and the first entry that is not.
    Verify(AuditOf),
    /// Have the audit written under another key from now on.
    RotateKey(AuditOf),
}

/// Whose audit.
#[derive(clap::Args, Debug)]
pub struct AuditOf {
    /// Where data and secrets lie.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data_dir: PathBuf,
    /// The HealthcareStack, YAML, if another keeps its key-encryption key (`spec.encryption`).
    #[arg(long, value_name = "FILE")]
    pub stack: Option<PathBuf>,
}

/// `healthcare rotate-kek`
#[derive(clap::Args, Debug)]
pub struct RotateKek {
    /// Where data and secrets lie.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data_dir: PathBuf,
    /// The PostgreSQL of the stack, if it is another than it was started with last.
    #[command(flatten)]
    pub database: DatabaseUrl,
}

/// `healthcare rotate-signing-key`
#[derive(clap::Args, Debug)]
pub struct RotateSigningKey {
    /// Where data and secrets lie: the folder of `healthcare up`, or the one that `healthcare compose` writes.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data_dir: PathBuf,
    /// Believe the old key no more, instead of until what it signed has expired: for a key that somebody else may have.
    #[arg(long)]
    pub at_once: bool,
}

/// `healthcare up`
#[derive(clap::Args, Debug)]
pub struct Up {
    /// The HealthcareStack, YAML. Changes to routes, limits and timeouts take effect while it runs.
    #[arg(long, value_name = "FILE")]
    pub stack: PathBuf,
    /// Where data and secrets lie; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data_dir: PathBuf,
    /// Where the gateway listens. An address that others can reach needs TLS.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where metrics and health are served.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9464")]
    pub admin_listen: SocketAddr,
    /// Where data is kept, if not in files.
    #[command(flatten)]
    pub database: DatabaseUrl,
    /// The first administrator's password.
    #[arg(
        long,
        value_name = "FILE",
        help = "The first administrator's password; else HEALTHCARE_ADMIN_PASSWORD, else generated"
    )]
    pub admin_password_file: Option<PathBuf>,
    /// The gateway's certificate chain, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Fill an invented clinic, with the user johndoe / password123.
    #[arg(long)]
    pub demo: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use contracts::secret::Secret;

    use super::*;

    #[test]
    fn a_command_that_is_shown_does_not_show_the_databases_password() {
        const URL: &str = "postgres://clinic:CANARY@db.example/clinic";
        for command in [
            ["healthcare", "up", "--stack", "clinic.yaml", "--database-url", URL].as_slice(),
            &["healthcare", "rotate-kek", "--database-url", URL],
        ] {
            let command = Command::try_parse_from(command).unwrap();
            let given = match &command {
                Command::Up(up) => &up.database.database_url,
                Command::RotateKek(rotate) => &rotate.database.database_url,
                _ => &None,
            };
            assert_eq!(given.as_ref().map(Secret::reveal), Some(URL));
            let shown = format!("{command:?} {command:#?}");
            assert!(!shown.contains("CANARY"), "{shown}");
        }
    }

    #[test]
    fn a_database_is_named_once() {
        let twice = ["--database-url", "postgres://localhost/a", "--database-url-file", "-"];
        for command in
            [["healthcare", "up", "--stack", "clinic.yaml"].as_slice(), &["healthcare", "rotate-kek"]]
        {
            assert!(Command::try_parse_from([command, &twice].concat()).is_err());
            assert!(Command::try_parse_from([command, &twice[2..]].concat()).is_ok());
        }
    }
}

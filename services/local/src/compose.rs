//! What the containers of `docker-compose.yml` mount: settings from the planner, and the secrets that a cluster would keep in Secrets.
//!
//! ```text
//! OUT/settings/<service>.json          what each service is told
//! OUT/settings/<service>.env           the digest of that: with another one `docker compose up` makes the container anew
//! OUT/settings/prometheus.yml          where metrics are
//! OUT/gateway/gateway.json             what the gateway is told; it follows the file
//! OUT/secrets/<secret>/<key>           as on a cluster: `database-patient/url`, `kek/current`, `patient-service-tls/tls.crt`, …
//! OUT/internal-ca/                     who vouches for the certificates, for this user alone
//! OUT/client-tls/                      a certificate for who calls a container from this machine, for this user alone
//! OUT/postgres/                        the database's certificate, its administrator's password, and how it is set up
//! OUT/auth-service.env                 the first administrator's password
//! ```
//!
//! Containers have a user of their own, so the files are open to all, in a folder that is open to nobody but who made it.

mod certificates;

use std::fs::Permissions;
use std::io::Result;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use contracts::ambient::{Clock, Random};
use http_kit::generate;
use http_kit::identity::Part;
use settings::{ADMIN_PORT, GATEWAY_NAME, ServiceName};
use stack::{Placement, Stack, names, plan_gateway, plan_service};

use crate::fault::Fault;
use crate::secret_files::{SecretFiles, make_dir};
use certificates::Certificates;

/// The database server's name on the network, and the database's on the server.
const SERVER: &str = "postgres";
const DATABASE: &str = "healthcare";
/// Where a container sees the database's certificate.
const CA_FILE: &str = "/var/run/healthcare/secrets/database/ca.crt";

/// Whoever speaks over the network does so with TLS and a password.
const HOST_BASED_AUTHENTICATION: &str = "local all postgres peer\nhostssl all all all scram-sha-256\n";

/// Containers read certificates every second, and a handshake that was begun before takes one at most.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Writes it all. Settings are written anew; secrets that are there stay, but for certificates that are four months old.
pub fn render(stack: &Stack, out: &Path, random: &Random, clock: &Clock) -> std::result::Result<(), Fault> {
    write(stack, out, random, clock).map_err(|error| unwritten(out, &error))
}

/// Puts another CA in the place of the one that vouches for the containers' certificates, while they run or not.
pub fn renew(out: &Path, clock: &Clock) -> std::result::Result<(), Fault> {
    let certificates = Certificates::new(out, clock.now());
    certificates.renew(|| std::thread::sleep(READ_WITHIN)).map_err(|error| unwritten(out, &error))
}

/// Whether that is to be done: the CA is eight years old.
pub fn is_renewal_due(out: &Path, clock: &Clock) -> std::result::Result<bool, Fault> {
    Certificates::new(out, clock.now()).is_ca_old().map_err(|error| unwritten(out, &error))
}

fn unwritten(out: &Path, error: &std::io::Error) -> Fault {
    Fault::failed(format!("{} cannot be written: {error}", out.display()))
}

fn write(stack: &Stack, out: &Path, random: &Random, clock: &Clock) -> Result<()> {
    make_dir(out, 0o700)?;
    std::fs::set_permissions(out, Permissions::from_mode(0o700))?;
    let files = SecretFiles::for_containers(out.to_path_buf());
    write_settings(stack, &files)?;
    write_secrets(&SecretFiles::for_containers(out.join("secrets")), random)?;
    Certificates::new(out, clock.now()).keep()?;
    let roles = write_logins(&files, random)?;
    write_postgres(&files, random, &roles)?;
    let password = || {
        Ok(format!("HEALTHCARE_ADMIN_PASSWORD={}\n", generate::readable_password(random)).into_bytes().into())
    };
    files.keep_once("auth-service.env", password).map(drop)
}

fn write_settings(stack: &Stack, files: &SecretFiles) -> Result<()> {
    for service in ServiceName::ALL {
        let settings = serde_json::to_vec_pretty(&plan_service(stack, service, &Placement::Compose))?;
        files.keep(&format!("settings/{service}.json"), &settings)?;
        files.keep(&format!("settings/{service}.env"), environment_for(&settings).as_bytes())?;
    }
    let gateway = plan_gateway(stack, &Placement::Compose);
    files.keep("gateway/gateway.json", &serde_json::to_vec_pretty(&gateway)?)?;
    files.keep("settings/prometheus.yml", prometheus(stack).as_bytes())
}

/// Compose makes a container anew when its environment is another one; into the files that are mounted it does not look.
fn environment_for(settings: &[u8]) -> String {
    let digest = digest(&SHA256, settings);
    format!("HEALTHCARE_SETTINGS_DIGEST={}\n", data_encoding::HEXLOWER.encode(digest.as_ref()))
}

/// Every part under its name, since all metrics are at one port; with the labels that samples of the stack have on a cluster.
fn prometheus(stack: &Stack) -> String {
    let parts = ServiceName::ALL.iter().map(|service| service.as_str()).chain([GATEWAY_NAME]);
    let targets: Vec<_> = parts.map(|part| format!("          - {part}:{ADMIN_PORT}\n")).collect();
    let labels = names::sample_labels(&stack.namespace, &stack.name);
    let labels: Vec<_> =
        labels.iter().map(|(name, value)| format!("          {name}: \"{value}\"\n")).collect();
    format!(
        "global:\n  scrape_interval: 5s\nscrape_configs:\n  - job_name: healthcare\n    static_configs:\n      - targets:\n{}        labels:\n{}",
        targets.concat(),
        labels.concat()
    )
}

fn write_secrets(files: &SecretFiles, random: &Random) -> Result<()> {
    let services = ServiceName::ALL.into_iter().map(Part::from);
    files.make_keys(random, services.chain([Part::Gateway]))
}

/// A login for each service: its role's password stands in the URL alone. Gives the SQL that makes the roles.
fn write_logins(files: &SecretFiles, random: &Random) -> Result<String> {
    let certificate = files.keep_once("postgres/tls.crt", || {
        let made = rcgen::generate_simple_self_signed([SERVER.to_owned(), "localhost".to_owned()]);
        let made = made.map_err(std::io::Error::other)?;
        files.keep("postgres/tls.key", made.signing_key.serialize_pem().as_bytes())?;
        Ok(made.cert.pem().into_bytes().into())
    })?;
    let mut statements = vec![format!(
        "create extension if not exists btree_gist schema public;\n\
         revoke all on database {DATABASE} from public;\n\
         revoke create on schema public from public;\n"
    )];
    for service in ServiceName::ALL {
        let (role, secret) = (service.short(), names::database(service));
        let password = files.keep_once(&format!("postgres/{role}.password"), || {
            Ok(generate::password(random).into_bytes().into())
        })?;
        let password = String::from_utf8_lossy(&password);
        let url = format!(
            "postgres://{role}:{password}@{SERVER}:5432/{DATABASE}?sslmode=verify-full&sslrootcert={CA_FILE}"
        );
        files.keep(&format!("secrets/{secret}/url"), url.as_bytes())?;
        files.keep(&format!("secrets/{secret}/ca.crt"), &certificate)?;
        statements.push(format!(
            "create role {role} login password '{password}';\n\
             grant connect on database {DATABASE} to {role};\n\
             create schema {role} authorization {role};\n\
             create schema {role}_keys authorization {role};\n"
        ));
    }
    Ok(statements.concat())
}

fn write_postgres(files: &SecretFiles, random: &Random, roles: &str) -> Result<()> {
    files.keep_once("postgres/password", || Ok(generate::password(random).into_bytes().into()))?;
    files.keep("postgres/pg_hba.conf", HOST_BASED_AUTHENTICATION.as_bytes())?;
    files.keep("postgres/roles.sql", roles.as_bytes())
}

//! A PostgreSQL server for the tests of this process: private, on a Unix socket only, without fsync.
//!
//! Started by the first test that needs it. It must end with the process, however that ends: so a small shell watches
//! over the server, waiting for the end of a pipe that the kernel closes with the test process (even after `kill -9`),
//! and then ends the server and removes its folder. It runs as `postgres` or `nobody` when the tests run as root, which
//! PostgreSQL refuses.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::folder::folder;

/// Said when there is no server to be found. A test is never skipped in silence.
const MISSING: &str =
    "no PostgreSQL for the tests: install Debian package postgresql, or set TEST_DATABASE_URL";

const START_TIMEOUT: Duration = Duration::from_mins(1);

const SUPERVISOR: &str = r#"
bin=$1 dir=$2
shift 2
"$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-locale --no-sync >"$dir/log" 2>&1 &&
"$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=200 -c shared_buffers=32MB \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c deadlock_timeout=200ms "$@" >>"$dir/log" 2>&1 &
server=$!
cat >/dev/null
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$dir"
"#;

struct Server {
    url: String,
    /// Its standard input is the pipe whose end is the end of the server.
    supervisor: Option<Child>,
    /// Where it keeps its data, if it is this process's own.
    data: Option<PathBuf>,
}

static SERVER: LazyLock<Result<Server, String>> = LazyLock::new(start);
static TLS_SERVER: LazyLock<Result<Server, String>> = LazyLock::new(start_with_tls);

/// The authority that signed the certificate of [`tls_url`]'s server, PEM. Its key is gone: it signs nothing more.
pub const TLS_CA: &str = include_str!("tls/ca.pem");
const TLS_CERTIFICATE: &str = include_str!("tls/server.pem");
const TLS_KEY: &str = include_str!("tls/server.key");

/// The URL of a database on the tests' server: `TEST_DATABASE_URL`'s if that is set, else one of this process's own.
///
/// # Panics
/// If there is none and none can be started.
pub fn url(database: &str) -> String {
    match &*SERVER {
        Ok(server) => with_database(&server.url, database),
        #[expect(clippy::panic, reason = "a test that cannot run fails; it does not pass in silence")]
        Err(reason) => panic!("{reason}"),
    }
}

/// The URL of a second server of this process's own, over TCP, with a certificate for `localhost`. What is made of the certificate
/// is for the caller to add.
///
/// # Panics
/// If none can be started.
pub fn tls_url() -> &'static str {
    match &*TLS_SERVER {
        Ok(server) => &server.url,
        #[expect(clippy::panic, reason = "a test that cannot run fails; it does not pass in silence")]
        Err(reason) => panic!("{reason}"),
    }
}

/// Whether the server is this process's own, and ends with it.
pub fn is_private() -> bool {
    SERVER.as_ref().is_ok_and(|server| server.supervisor.is_some())
}

/// Where this process's own server keeps its data, if there is one and it runs.
pub fn data_folder() -> Option<PathBuf> {
    SERVER.as_ref().ok()?.data.clone()
}

/// `scheme://authority/ANYTHING?query` with another database.
fn with_database(url: &str, database: &str) -> String {
    let (base, query) =
        url.split_once('?').map_or((url, String::new()), |(base, query)| (base, format!("?{query}")));
    let authority_at = base.find("://").map_or(0, |at| at + 3);
    let authority_end = base[authority_at..].find('/').map_or(base.len(), |at| authority_at + at);
    format!("{}/{database}{query}", &base[..authority_end])
}

fn start() -> Result<Server, String> {
    if let Some(url) = std::env::var_os("TEST_DATABASE_URL") {
        let url = url.into_string().map_err(|_| "TEST_DATABASE_URL is not UTF-8".to_owned())?;
        return Ok(Server { url, supervisor: None, data: None });
    }
    let (dir, supervisor) = start_private(&[], &[])?;
    Ok(Server {
        url: format!("postgres://postgres@localhost/postgres?host={}", dir.display()),
        supervisor: Some(supervisor),
        data: Some(dir.join("data")),
    })
}

fn start_with_tls() -> Result<Server, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    drop(listener);
    let options = ["listen_addresses=localhost".to_owned(), format!("port={port}"), "ssl=on".to_owned()];
    let files = [("ssl_cert_file", TLS_CERTIFICATE), ("ssl_key_file", TLS_KEY)];
    let (_, supervisor) = start_private(&options, &files)?;
    let url = format!("postgres://postgres@localhost:{port}/postgres");
    Ok(Server { url, supervisor: Some(supervisor), data: None })
}

/// Starts a server with these options beside the usual ones, and with files that options name; gives its folder.
fn start_private(options: &[String], files: &[(&str, &str)]) -> Result<(PathBuf, Child), String> {
    let bin = find_bin().ok_or(MISSING)?;
    let dir = folder("healthcare-pg-").map_err(|error| format!("no folder for PostgreSQL: {error}"))?.keep();
    let mut command = Command::new("sh");
    command.args([
        OsStr::new("-c"),
        OsStr::new(SUPERVISOR),
        OsStr::new("sh"),
        bin.as_os_str(),
        dir.as_os_str(),
    ]);
    let mut private = vec![dir.clone()];
    for (option, content) in files {
        let path = dir.join(option);
        fs::write(&path, content)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        command.args(["-c".to_owned(), format!("{option}={}", path.display())]);
        private.push(path);
    }
    command.args(options.iter().flat_map(|option| ["-c", option]));
    // A group of its own: Ctrl-C ends the tests, and the supervisor is left to clear up after them.
    command
        .current_dir(&dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    if fs::metadata(&dir).is_ok_and(|dir| dir.uid() == 0) {
        let (uid, gid) =
            other_user().ok_or("the tests run as root, and there is neither a user postgres nor nobody")?;
        for path in &private {
            std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        command.uid(uid).gid(gid);
    }
    let mut supervisor = command.spawn().map_err(|error| format!("cannot start sh: {error}"))?;
    wait_until_ready(&dir, &mut supervisor)?;
    Ok((dir, supervisor))
}

/// PostgreSQL writes `ready` into the eighth line of its pid file when it takes connections.
fn wait_until_ready(dir: &Path, supervisor: &mut Child) -> Result<(), String> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let pid_file = fs::read_to_string(dir.join("data/postmaster.pid")).unwrap_or_default();
        if pid_file.lines().nth(7).is_some_and(|status| status.trim() == "ready") {
            return Ok(());
        }
        let ended = supervisor.try_wait().is_ok_and(|status| status.is_some());
        if ended || Instant::now() > deadline {
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            return Err(format!("PostgreSQL did not start; its log ends in:\n{}", tail(&log)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// The folder with `postgres` and `initdb`: on the PATH, or the newest of Debian's.
pub fn find_bin() -> Option<PathBuf> {
    let has_both = |dir: &PathBuf| dir.join("postgres").is_file() && dir.join("initdb").is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).find(has_both).or_else(|| {
        let version = |dir: &PathBuf| dir.file_name()?.to_str()?.parse::<u32>().ok();
        let mut versions: Vec<_> =
            fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        versions.sort_by_key(version);
        versions.into_iter().rev().map(|dir| dir.join("bin")).find(has_both)
    })
}

/// User and group of `postgres`, else of `nobody`: whom PostgreSQL runs as when the tests run as root.
pub fn other_user() -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let find = |name: &str| {
        let fields: Vec<_> = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields[0] == name)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody"))
}

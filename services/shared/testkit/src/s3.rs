//! A real S3 server for tests: `versitygw`, from its public Go module, built once and kept in the cache folder. It verifies signatures and
//! digests, knows uploads in parts and versions, and keeps objects as files, so that a test can look at one, or damage it.
//!
//! It ends with the test, however that ends: whoever holds it reads the end of a pipe that the kernel closes with the test's process.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::smtp::free_port;

/// Said when there is no Go to build it. A test is never skipped in silence.
const MISSING: &str = "no S3 server for the tests: install Go 1.25 or later (https://go.dev/dl)";
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/versitygw");
const PACKAGE: &str = "github.com/versity/versitygw/cmd/versitygw";
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Ends it at once when standard input ends.
const HOLDER: &str = "\"$@\" </dev/null & server=$!; cat >/dev/null; kill -KILL $server; wait $server";

/// A server with a bucket that is called as the test says.
pub struct S3Server {
    address: SocketAddr,
    dir: TempDir,
    tls: bool,
    running: Option<Child>,
}

impl S3Server {
    /// Who may do everything.
    pub const ACCESS_KEY_ID: &str = "clinic";
    /// That one's key.
    pub const SECRET_ACCESS_KEY: &str = "not-a-secret-in-a-test";
    /// The only region that it takes signatures for.
    pub const REGION: &str = "us-east-1";

    /// Starts one on 127.0.0.1 with these buckets, which are empty.
    ///
    /// # Panics
    /// With one line that says what is missing, if it does not start.
    pub fn start(buckets: &[&str]) -> Self {
        Self::at("127.0.0.1", buckets)
    }

    /// The same, at another address of this machine.
    ///
    /// # Panics
    /// If it does not start.
    pub fn at(host: &str, buckets: &[&str]) -> Self {
        Self::prepare(host, buckets, false)
    }

    /// The same on 127.0.0.1 over TLS, with the certificate in `cert.pem` and its key in `key.pem` of a folder.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_with_tls(buckets: &[&str], certificate: &str, key: &str) -> Self {
        let mut server = Self::unstarted("127.0.0.1", buckets, true);
        for (name, text) in [("cert.pem", certificate), ("key.pem", key)] {
            fs::write(server.dir.path().join(name), text).expect("a file");
        }
        server.run();
        server
    }

    fn prepare(host: &str, buckets: &[&str], tls: bool) -> Self {
        let mut server = Self::unstarted(host, buckets, tls);
        server.run();
        server
    }

    fn unstarted(host: &str, buckets: &[&str], tls: bool) -> Self {
        let dir = TempDir::with_prefix("healthcare-s3-").expect("a folder");
        for bucket in buckets {
            fs::create_dir_all(dir.path().join("data").join(bucket)).expect("a bucket");
        }
        fs::create_dir(dir.path().join("versions")).expect("a folder");
        let address = SocketAddr::new(host.parse().expect("an address"), free_port());
        Self { address, dir, tls, running: None }
    }

    /// Starts it where it was, with what it had.
    ///
    /// # Panics
    /// If it does not start.
    pub fn run(&mut self) {
        static PROGRAM: LazyLock<Result<PathBuf, String>> = LazyLock::new(program);
        let program = match &*PROGRAM {
            Ok(program) => program,
            #[expect(clippy::panic, reason = "a test that cannot run fails; it does not pass in silence")]
            Err(reason) => panic!("{reason}"),
        };
        let path = |name: &str| self.dir.path().join(name);
        let mut command = Command::new("sh");
        command.args(["-c", HOLDER, "sh"]).arg(program);
        command.args([
            "--port",
            &self.address.to_string(),
            "--region",
            Self::REGION,
            "--health",
            "/health",
            "--quiet",
        ]);
        if self.tls {
            command.arg("--cert").arg(path("cert.pem")).arg("--key").arg(path("key.pem"));
        }
        command.args(["posix", "--versioning-dir"]).arg(path("versions")).arg(path("data"));
        let log = File::create(path("log")).expect("a file");
        command.env("ROOT_ACCESS_KEY", Self::ACCESS_KEY_ID).env("ROOT_SECRET_KEY", Self::SECRET_ACCESS_KEY);
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("a file")).stderr(log);
        self.running = Some(command.spawn().expect("sh starts"));
        let begun = Instant::now();
        while !self.answers() {
            let log = fs::read_to_string(path("log")).unwrap_or_default();
            assert!(begun.elapsed() < START_TIMEOUT, "the S3 server does not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it takes requests. One that speaks TLS is believed when it takes connections.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        if self.tls {
            return true;
        }
        let mut answer = String::new();
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\nHost: s3\r\nConnection: close\r\n\r\n");
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let _ = stream.read_to_string(&mut answer);
        answer.starts_with("HTTP/1.1 200")
    }

    /// Ends it at once, as a power failure would. What it had stays.
    ///
    /// # Panics
    /// If it cannot be ended.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.stdin.take());
            running.wait().expect("it ends");
        }
    }

    /// Where it is: `http://127.0.0.1:1234`.
    pub fn endpoint(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }

    /// The file of an object, or the folder of several.
    pub fn path(&self, bucket: &str, object: &str) -> PathBuf {
        self.dir.path().join("data").join(bucket).join(object)
    }

    /// All objects of a bucket, and nothing of what is not one yet.
    ///
    /// # Panics
    /// If they cannot be looked at.
    pub fn objects(&self, bucket: &str) -> Vec<String> {
        let root = self.path(bucket, "");
        let mut objects = Vec::new();
        files(&root, &root, &mut objects);
        objects.sort();
        objects
    }
}

/// The server's own folders, of what is no object yet, begin with a dot.
fn files(root: &Path, dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            files(root, &path, found);
        } else if let Ok(name) = path.strip_prefix(root) {
            found.push(name.display().to_string());
        }
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The server's program, built if it is not there.
fn program() -> Result<PathBuf, String> {
    let cache = crate::python::cache()?;
    let io = |error: std::io::Error| format!("{}: {error}", cache.display());
    fs::create_dir_all(&cache).map_err(io)?;
    // Several test processes may want it at once: one makes it. What is pinned is told by its content.
    let lock = File::create(cache.join("versitygw.lock")).map_err(io)?;
    lock.lock().map_err(io)?;
    let (program, made) = (cache.join("versitygw"), cache.join("versitygw.sum"));
    let sum = fs::read(Path::new(MODULE).join("go.sum")).map_err(io)?;
    if !program.exists() || fs::read(&made).ok().as_ref() != Some(&sum) {
        let mut go = Command::new("go");
        go.args(["build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o"])
            .arg(&program)
            .arg(PACKAGE);
        go.current_dir(MODULE)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-mod=readonly")
            .env("GOTOOLCHAIN", "local");
        crate::python::succeed(&mut go, MISSING)?;
        fs::write(made, sum).map_err(io)?;
    }
    Ok(program)
}

//! [`Healthcare`]: the program itself, built, started on free ports in a folder of its own, and ended with the test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;
use testkit::folder::folder;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::client::Client;

/// Built without optimisation on a busy machine, a start may take its time, and a demo that is invented then more of it.
const START_MAX: Duration = Duration::from_mins(3);
const STOP_MAX: Duration = Duration::from_secs(40);

/// What a start is given.
#[derive(Debug)]
pub struct Setup {
    /// Everything of this test: `stack.yaml`, `data/`.
    pub dir: TempDir,
    /// Further arguments.
    pub args: Vec<String>,
}

/// The program, running.
#[derive(Debug)]
pub struct Healthcare {
    /// What it was given.
    pub setup: Setup,
    /// The gateway's address, `http://127.0.0.1:…`.
    pub url: String,
    /// What it said when it was up.
    pub announced: String,
    child: Child,
    output: JoinHandle<String>,
    errors: JoinHandle<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// The sample stack in a fresh folder.
    ///
    /// # Panics
    /// If the folder cannot be made.
    pub fn new() -> Self {
        let setup = Self { dir: folder("healthcare-stack-").expect("a folder"), args: Vec::new() };
        std::fs::copy(sample(), setup.stack_path()).expect("the sample");
        setup
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// On a PostgreSQL, whose URL is given in a file.
    ///
    /// # Panics
    /// If the file cannot be written.
    #[must_use]
    pub fn with_database(self, url: &str) -> Self {
        let file = self.dir.path().join("database-url");
        std::fs::write(&file, url).expect("the file");
        self.arg("--database-url-file").arg(file.display().to_string())
    }

    /// The resource's file.
    pub fn stack_path(&self) -> PathBuf {
        self.dir.path().join("stack.yaml")
    }

    /// The data folder.
    pub fn data_path(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Changes the resource's file in place.
    ///
    /// # Panics
    /// If the text to be replaced is not there.
    pub fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.stack_path()).expect("the stack's file");
        assert!(text.contains(from), "the sample has no {from:?}");
        std::fs::write(self.stack_path(), text.replacen(from, to, 1)).expect("the stack's file");
    }

    /// The command line.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.arg("up").arg("--stack").arg(self.stack_path()).arg("--data-dir").arg(self.data_path());
        for (flag, default) in [("--listen", "127.0.0.1:0"), ("--admin-listen", "127.0.0.1:0")] {
            if !self.args.iter().any(|arg| arg == flag) {
                command.arg(flag).arg(default);
            }
        }
        command.args(&self.args).env_remove("HEALTHCARE_ADMIN_PASSWORD");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Starts it, and waits until it is up.
    ///
    /// # Panics
    /// With what it said, if it does not come up.
    pub async fn start(self) -> Healthcare {
        let mut child = self.command().spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut stderr = child.stderr.take().expect("its errors");
        let errors = tokio::spawn(async move {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text).await;
            text
        });
        let mut announced = String::new();
        let up = async {
            while let Ok(Some(line)) = lines.next_line().await {
                announced.push_str(&line);
                announced.push('\n');
                if line.contains("Ctrl-C stops") {
                    return true;
                }
            }
            false
        };
        if !tokio::time::timeout(START_MAX, up).await.unwrap_or(false) {
            let _ = child.start_kill();
            panic!("it did not come up: {announced}\n{}", errors.await.unwrap_or_default());
        }
        let url = word_after(&announced, "API").trim_end_matches("/api").to_owned();
        let output = tokio::spawn(async move {
            let mut text = String::new();
            while let Ok(Some(line)) = lines.next_line().await {
                text.push_str(&line);
                text.push('\n');
            }
            text
        });
        Healthcare { setup: self, url, announced, child, output, errors }
    }

    /// Starts it where it is expected to refuse: its exit status, and what it said on standard error.
    ///
    /// # Panics
    /// If it goes on running.
    pub async fn refused(&self) -> (ExitStatus, String) {
        refused(self.command()).await
    }

    /// The same, with the first administrator's password in its environment.
    ///
    /// # Panics
    /// If it goes on running.
    pub async fn refused_with_password(&self, password: &OsStr) -> (ExitStatus, String) {
        let mut command = self.command();
        command.env("HEALTHCARE_ADMIN_PASSWORD", password);
        refused(command).await
    }
}

async fn refused(mut command: Command) -> (ExitStatus, String) {
    let output = tokio::time::timeout(START_MAX, command.output()).await.expect("it ends").expect("it runs");
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

impl Healthcare {
    /// The sample stack, up.
    pub async fn start() -> Self {
        Setup::new().start().await
    }

    /// Somebody without a token.
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// The first administrator's generated password.
    ///
    /// # Panics
    /// If there is none.
    pub fn admin_password(&self) -> String {
        let path = self.setup.data_path().join("secrets/first-admin/password");
        std::fs::read_to_string(path).expect("the generated password").trim().to_owned()
    }

    /// The first administrator.
    pub async fn admin(&self) -> Client {
        self.client().sign_in("admin", &self.admin_password()).await
    }

    /// The process's id.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it as Ctrl-C does: its exit status, what it said since it was up, and its log.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn interrupt(mut self) -> (Setup, ExitStatus, String, String) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().await.expect("kill");
        assert!(sent.success());
        let status =
            tokio::time::timeout(STOP_MAX, self.child.wait()).await.expect("it ends").expect("a status");
        let (output, errors) = (self.output.await.unwrap_or_default(), self.errors.await.unwrap_or_default());
        (self.setup, status, output, errors)
    }

    /// Ends it as a power cut does.
    ///
    /// # Panics
    /// If it cannot be ended.
    pub async fn kill(mut self) -> Setup {
        self.child.kill().await.expect("it ends");
        self.setup
    }
}

fn word_after<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text.lines().find(|line| line.trim_start().starts_with(label)).expect("the line");
    line.split_whitespace().nth(1).expect("a word")
}

/// The sample that `make run` starts.
pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/samples/healthcarestack.yaml")
}

/// The program, built from what stands here now.
///
/// # Panics
/// If it does not build.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = std::process::Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "local", "--bin", "healthcare"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.is_ok_and(|status| status.success()), "the program does not build");
        // …/debug/deps/it-1234 → …/debug/healthcare
        let test = std::env::current_exe().expect("this test's own path");
        let folder = test.parent().and_then(Path::parent).expect("the build folder");
        folder.join("healthcare")
    })
}

//! A real identity provider for tests: `oidc-provider`, from the Node package index, in a folder that `scripts/prepare test` fills.
//!
//! It ends with the test, however that ends: it reads the end of a pipe that the kernel closes with the test's process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use settings::{OutsideRole, OutsideSecondFactor, SecretRef};

/// What the folder was filled from; as `scripts/prepare` leaves it there.
const LOCK: &str = include_str!("oidc/package-lock.json");
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/oidc/provider.mjs");
/// A test is never skipped in silence.
const MISSING: &str = "no identity provider for the tests: run `scripts/prepare test`";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// It is there within a second, or, once in some hundreds, never: Node waits for a lock of its own then.
const STARTS_MAX: usize = 4;
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// A login leads through fewer pages.
const PAGES_MAX: usize = 10;

/// Who the stack is at the provider.
pub const CLIENT_ID: &str = "healthcare-stack";
/// How it shows that.
pub const CLIENT_SECRET: &str = "a secret: with / what + must be escaped";
/// Where browsers come back to. Nobody listens there.
pub const REDIRECT_URI: &str = "http://127.0.0.1:9/login";

/// An identity provider.
pub struct IdentityProvider {
    /// What it calls itself.
    pub issuer: String,
    child: Child,
    input: Mutex<ChildStdin>,
    lines: Mutex<mpsc::Receiver<String>>,
}

/// What a browser comes back with.
#[derive(Clone, Debug, Default)]
pub struct Back(pub BTreeMap<String, String>);

impl Back {
    /// A parameter; empty if it is not there.
    pub fn says(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl IdentityProvider {
    /// Starts one that takes a client's secret this way: `client_secret_basic` or `client_secret_post`.
    ///
    /// # Panics
    /// With one line that says what is missing, if it does not start.
    pub fn start(method: &str) -> Self {
        let modules = modules();
        (0..STARTS_MAX).find_map(|_| Self::try_start(&modules, method)).expect("the identity provider starts")
    }

    /// `None` if it does not say in time where it is.
    fn try_start(modules: &Path, method: &str) -> Option<Self> {
        let mut child = Command::new("node")
            .arg(PROGRAM)
            .arg(modules)
            .args([CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, method])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect(MISSING);
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (told, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = told.send(line);
            }
        });
        // Whatever comes of it, it is ended with this.
        let mut provider =
            Self { issuer: String::new(), child, input: Mutex::new(input), lines: Mutex::new(lines) };
        let lines = provider.lines.get_mut().unwrap_or_else(PoisonError::into_inner);
        provider.issuer = lines.recv_timeout(START_TIMEOUT).ok()?;
        Some(provider)
    }

    /// Who there is from now on, and what is said of them: `{"jane": {"roles": ["doctors"]}}`.
    ///
    /// # Panics
    /// If it does not listen.
    pub fn knows(&self, accounts: Value) {
        self.tell(&json!({ "accounts": accounts }));
    }

    /// Signs with another key from now on, and publishes no other.
    ///
    /// # Panics
    /// If it does not listen.
    pub fn rotate(&self, kid: &str) {
        self.tell(&json!({ "rotate": kid }));
    }

    /// Ends it as a power cut would.
    pub fn cut(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn tell(&self, what: &Value) {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(input, "{what}").expect("it listens");
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(lines.recv_timeout(ANSWER_TIMEOUT).as_deref(), Ok("done"));
    }

    /// Goes where a browser is sent, as somebody who has an account there, and comes back.
    ///
    /// # Panics
    /// If it does not come back.
    pub async fn visit(&self, authorization_url: &str, account: &str) -> Back {
        let http = Client::builder().redirect(Policy::none()).no_proxy().build().expect("a client");
        let mut cookies = BTreeMap::new();
        let mut url: Url = authorization_url.parse().expect("an address");
        url.query_pairs_mut().append_pair("login_hint", account);
        for _ in 0..PAGES_MAX {
            if url.as_str().starts_with(REDIRECT_URI) {
                return Back(url.query_pairs().into_owned().collect());
            }
            let jar: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let page = http.get(url.clone()).header(COOKIE, jar.join("; ")).send().await.expect("a page");
            for set in page.headers().get_all(SET_COOKIE) {
                let pair = set.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
                if let Some((name, value)) = pair.split_once('=') {
                    cookies.insert(name.to_owned(), value.to_owned());
                }
            }
            let next = page.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            url = url.join(next.expect("it leads on")).expect("an address");
        }
        #[expect(clippy::panic, reason = "a test says so by failing")]
        {
            panic!("no way back from {url}");
        }
    }

    /// How a stack names it: `doctors` are clinicians there, `it` administrators, and `lab` what the clinic has made under that name.
    pub fn settings(&self, name: &str) -> settings::IdentityProvider {
        settings_of(name, &self.issuer)
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        self.cut();
    }
}

/// How a stack names a provider with this issuer.
pub fn settings_of(name: &str, issuer: &str) -> settings::IdentityProvider {
    let role = |(value, role): (&str, &str)| OutsideRole { value: value.to_owned(), role: role.to_owned() };
    settings::IdentityProvider {
        name: name.to_owned(),
        display_name: format!("All of {name}"),
        issuer: issuer.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: SecretRef { secret: "outside".to_owned(), key: "client-secret".to_owned() },
        ca: None,
        scopes: vec!["profile".to_owned()],
        redirect_uris: vec![REDIRECT_URI.to_owned(), "https://clinic.test/login".to_owned()],
        roles_claim: "roles".to_owned(),
        username_claim: "preferred_username".to_owned(),
        roles: [("doctors", "clinician"), ("it", "admin"), ("lab", "lab")].map(role).into(),
        second_factor: OutsideSecondFactor { amr: vec!["mfa".to_owned()], acr: Vec::new() },
    }
}

/// Where its packages are.
fn modules() -> PathBuf {
    let folder = crate::python::cache().expect("a cache folder").join("identity-provider");
    let filled = std::fs::read_to_string(folder.join("package-lock.json")).unwrap_or_default();
    assert_eq!(filled, LOCK, "{MISSING}");
    folder.join("node_modules")
}

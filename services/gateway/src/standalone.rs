//! The gateway by itself, from a file: `gateway --config FILE`. Beside a key set, or an auth service, it needs nothing of a stack.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_kit::stop::Signals;
use settings::Address;

use crate::Error;
use crate::config::from_yaml;
use crate::process::{Keys, Process, Serving, auth_address};

/// A changed file is noticed within this time.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The gateway by itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A `GatewayConfig` as YAML; a change of the file takes effect while it runs.
    #[arg(long, required = true)]
    config: Option<PathBuf>,
    /// The keys that tokens are signed with (Ed25519, P-256 or RSA): a JWKS file, a change of which takes effect while it runs, or the auth
    /// service's address (`http://…`, `https://…`, `unix:…`). If not given, the configuration's own auth service is asked.
    #[arg(long)]
    jwks: Option<String>,
    #[command(flatten)]
    serving: Serving,
}

/// Runs until SIGTERM or Ctrl-C.
pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let mut signals = Signals::listen()?;
    let path = options.config.as_deref().unwrap_or(Path::new(""));
    let text = read(path)?;
    let config = from_yaml(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let process = Process::begin(&options.serving)?;
    let auth = auth_address(&config).ok();
    let (keys, key_file) = keys(options.jwks.as_deref(), auth.as_ref())?;
    let work = async {
        let gateway = process.start(&config, keys, auth.as_ref()).await?;
        let configuration = follow(File { path, text }, |text| match from_yaml(text) {
            Ok(config) => {
                if process.apply(gateway, &config) {
                    tracing::info!("the changed configuration is in force");
                }
            }
            Err(error) => process.changes.refused(&error),
        });
        let Some(key_file) = key_file else { return Ok(configuration.await) };
        let keys = follow(key_file, |text| match serde_json::from_str(text) {
            Ok(keys) => {
                gateway.replace_keys(&keys);
                tracing::info!("the changed keys are in force");
            }
            Err(error) => tracing::warn!(%error, "the key file cannot be read; the keys before stay"),
        });
        Ok(tokio::select! { never = configuration => never, never = keys => never })
    };
    process.run(&mut signals, work).await
}

/// Tells what is in a file whenever that has changed, for as long as the future lives.
async fn follow(File { path, text: mut last }: File<'_>, mut tell: impl FnMut(&str)) -> Infallible {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Ok(text) = read(path)
            && text != last
        {
            tell(&text);
            last = text;
        }
    }
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// A file that is followed, and what was in it.
struct File<'a> {
    path: &'a Path,
    text: String,
}

/// The keys to begin with, and the file that they come from.
fn keys<'a>(jwks: Option<&'a str>, auth: Option<&Address>) -> Result<(Keys, Option<File<'a>>), Error> {
    match jwks {
        Some(place) if ["http://", "https://", "unix:"].iter().any(|scheme| place.starts_with(scheme)) => {
            Ok((Keys::At(Address(place.to_owned())), None))
        }
        Some(file) => {
            let path = Path::new(file);
            let text = read(path)?;
            let keys = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok((Keys::Fixed(keys), Some(File { path, text })))
        }
        None => {
            let auth = auth.ok_or("there is neither --jwks nor an upstream for the auth service")?;
            Ok((Keys::At(auth.clone()), None))
        }
    }
}

//! The gateway by itself, from a file: `gateway --config FILE`. Beside a key set, or an auth service, it needs nothing of a stack.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_kit::stop::Signals;
use settings::Address;

use crate::config::from_yaml;
use crate::process::{Keys, Process, Serving, auth_address};
use crate::{Error, Gateway};

/// A changed file is noticed within this time.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The gateway by itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A `GatewayConfig` as YAML; a change of the file takes effect while it runs.
    #[arg(long, required = true)]
    config: Option<PathBuf>,
    /// The keys that tokens are signed with: a JWKS file, or the auth service's address (`http://…`, `https://…`, `unix:…`). If not given, the
    /// configuration's own auth service is asked.
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
    let keys = keys(options.jwks.as_deref(), auth.as_ref())?;
    let work = async {
        let gateway = process.start(&config, keys, auth.as_ref()).await?;
        Ok(follow(path, text, &process, gateway).await)
    };
    process.run(&mut signals, work).await
}

/// Takes changes of the file into force for as long as the future lives.
async fn follow(path: &Path, mut last: String, process: &Process, gateway: &Gateway) -> Infallible {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Ok(text) = read(path) else { continue };
        if text == last {
            continue;
        }
        last = text;
        match from_yaml(&last) {
            Ok(config) => {
                if process.apply(gateway, &config) {
                    tracing::info!("the changed configuration is in force");
                }
            }
            Err(error) => process.changes.refused(&error),
        }
    }
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn keys(jwks: Option<&str>, auth: Option<&Address>) -> Result<Keys, Error> {
    match jwks {
        Some(place) if ["http://", "https://", "unix:"].iter().any(|scheme| place.starts_with(scheme)) => {
            Ok(Keys::At(Address(place.to_owned())))
        }
        Some(file) => Ok(Keys::Fixed(serde_json::from_str(&read(Path::new(file))?)?)),
        None => {
            let auth = auth.ok_or("there is neither --jwks nor an upstream for the auth service")?;
            Ok(Keys::At(auth.clone()))
        }
    }
}

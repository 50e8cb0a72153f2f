//! Where the operator's own traces go: what the command line says of it.

use std::path::PathBuf;

use clap::Args;
use contracts::ambient::Random;
use settings::{SecretRef, Tracing, TracingHeader};
use traces::Tracer;

use crate::{Error, MANAGER};

// A doc comment would become the command's help.
#[derive(Debug, Args)]
pub(crate) struct TracingOptions {
    /// An OpenTelemetry collector that takes OTLP over HTTP, such as `http://collector.monitoring:4318`. Left out: there are no traces.
    #[arg(long, value_name = "URL")]
    tracing_endpoint: Option<String>,
    /// Share of reconciles that are traced, percent.
    #[arg(long, default_value_t = 100, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    tracing_sample_percent: u32,
    /// A header that the collector asks for, and the file in the folder of secrets with its value.
    #[arg(long = "tracing-header", value_name = "NAME=SECRET/KEY", value_parser = header)]
    tracing_headers: Vec<TracingHeader>,
    /// The file in the folder of secrets with the certificates that vouch for the collector.
    #[arg(long, value_name = "SECRET/KEY", value_parser = secret)]
    tracing_ca: Option<SecretRef>,
    /// Where Secrets are mounted, `<dir>/<secret>/<key>`.
    #[arg(long, value_name = "DIR", default_value = crate::plan::pod::SECRETS_DIR)]
    secrets_dir: PathBuf,
}

impl TracingOptions {
    /// What makes the operator's spans. `namespace`: its own.
    pub(crate) fn tracer(self, namespace: &str, random: &Random) -> Result<Tracer, Error> {
        let seed = u64::from_le_bytes(random.bytes());
        let tracer = Tracer::new(MANAGER, seed, Some(self.secrets_dir));
        let Some(endpoint) = self.tracing_endpoint else { return Ok(tracer) };
        let tracing = Tracing {
            endpoint,
            sample_percent: self.tracing_sample_percent,
            headers: self.tracing_headers,
            ca: self.tracing_ca,
            stack: namespace.to_owned(),
        };
        Tracer::check(&tracing).map_err(|why| {
            Error::surroundings("--tracing-endpoint")(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                why,
            ))
        })?;
        tracer.configure(Some(&tracing));
        Ok(tracer)
    }
}

fn header(text: &str) -> Result<TracingHeader, String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=SECRET/KEY")?;
    Ok(TracingHeader { name: name.to_owned(), value: secret(value)? })
}

fn secret(text: &str) -> Result<SecretRef, String> {
    let (secret, key) = text.split_once('/').ok_or("must be SECRET/KEY")?;
    Ok(SecretRef { secret: secret.to_owned(), key: key.to_owned() })
}

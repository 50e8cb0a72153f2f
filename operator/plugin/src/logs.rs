//! `logs`: what a stack's pods log, side by side; with `--follow` those of pods that come later, too.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use futures_util::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::{Api, ResourceExt};
use settings::ServiceName;
use stack::names;
use tokio::sync::mpsc;

use crate::Answer;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::style::Style;

/// How often new pods are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Lines on their way to the terminal.
const LINES_MAX: usize = 1_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The stack's name
    name: String,
    /// `patient-service`, or `patient` for short; `gateway`, `postgres`, or the name of a Job such as `migrate-patient`. Left out: all of them
    part: Option<String>,
    /// Go on until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// The last lines of each pod; -1: all
    #[arg(long, default_value_t = 50, allow_negative_numbers = true)]
    tail: i64,
    /// Of the container before the last restart
    #[arg(short, long, conflicts_with = "follow")]
    previous: bool,
}

/// A line, and which pod wrote it.
struct Line {
    pod: String,
    number: usize,
    text: String,
}

/// A container that ran once: a restarted one logs anew.
type Run = (String, i32);

pub(crate) async fn run(cluster: &Cluster, options: &Options) -> Result<Answer, Error> {
    cluster.stack(&options.name).await?;
    let (lines, mut arrived) = mpsc::channel(LINES_MAX);
    let print = async {
        let style = Style::of_stdout();
        while let Some(line) = arrived.recv().await {
            let Line { pod, number, text } = line;
            writeln!(std::io::stdout().lock(), "{} {text}", style.numbered(number, &pod))?;
        }
        Ok(())
    };
    let (read, printed) = tokio::join!(read(cluster, options, lines), print);
    printed.and(read)
}

/// Starts reading each pod as it appears; without `--follow`, reads each one to its end.
async fn read(cluster: &Cluster, options: &Options, lines: mpsc::Sender<Line>) -> Result<Answer, Error> {
    let mut seen = BTreeSet::new();
    let mut reading = tokio::task::JoinSet::new();
    loop {
        let first = seen.is_empty();
        for pod in pods(cluster, options).await? {
            if !seen.insert(run_of(&pod)) {
                continue;
            }
            // Of pods that came while we looked on, nothing is left out.
            let tail = if first { options.tail } else { -1 };
            let parameters = LogParams {
                follow: options.follow,
                previous: options.previous,
                tail_lines: (tail >= 0).then_some(tail),
                ..LogParams::default()
            };
            reading.spawn(copy(cluster.api(), pod.name_any(), seen.len(), parameters, lines.clone()));
        }
        if !options.follow {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = lines.closed() => return Ok(Answer::Yes),
        }
    }
    drop(lines);
    if seen.is_empty() {
        return Err(Error::Missing(format!(
            "no pod is there to read; `kubectl healthcare status {}`",
            options.name
        )));
    }
    while let Some(done) = reading.join_next().await {
        done.unwrap_or(Ok(()))?;
    }
    Ok(Answer::Yes)
}

async fn pods(cluster: &Cluster, options: &Options) -> Result<Vec<Pod>, Error> {
    let mut pods = match options.part.as_deref() {
        Some(part) => cluster.pods(&options.name, &part_named(part)?).await?,
        None => cluster.of_stack(&options.name).await?,
    };
    pods.sort_by_key(ResourceExt::name_any);
    // One that has not started is looked at again.
    pods.retain(has_started);
    Ok(pods)
}

/// The part that somebody means: by its whole name, or by what people call it.
fn part_named(text: &str) -> Result<String, Error> {
    if text == "gateway" {
        return Ok(names::API_GATEWAY.to_owned());
    }
    let service =
        ServiceName::ALL.into_iter().find(|service| service.as_str() == text || service.short() == text);
    let part = service.map_or_else(|| text.to_owned(), |service| service.to_string());
    if names::parts().any(|known| known == part) {
        return Ok(part);
    }
    let services: Vec<_> = ServiceName::ALL.into_iter().map(ServiceName::short).collect();
    Err(Error::Missing(format!(
        "no part of a stack is called {text}; there are gateway, {} and postgres",
        services.join(", ")
    )))
}

fn run_of(pod: &Pod) -> Run {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    (pod.name_any(), containers.map(|container| container.restart_count).sum())
}

fn has_started(pod: &Pod) -> bool {
    let mut containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    containers.any(|container| {
        container.restart_count > 0
            || container
                .state
                .as_ref()
                .is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    })
}

async fn copy(
    pods: Api<Pod>,
    pod: String,
    number: usize,
    parameters: LogParams,
    lines: mpsc::Sender<Line>,
) -> Result<(), Error> {
    let cannot = format!("read the log of {pod}");
    let mut log = pods.log_stream(&pod, &parameters).await.map_err(Error::api(cannot))?.lines();
    // A log that breaks off has ended: its pod is gone, or is looked at again.
    while let Ok(Some(text)) = log.try_next().await {
        if lines.send(Line { pod: pod.clone(), number, text }).await.is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_known_by_what_people_call_it() {
        for (text, part) in [
            ("gateway", "api-gateway"),
            ("api-gateway", "api-gateway"),
            ("patient", "patient-service"),
            ("medical-records-service", "medical-records-service"),
            ("records", "medical-records-service"),
            ("postgres", "postgres"),
            ("migrate-patient", "migrate-patient"),
        ] {
            assert_eq!(part_named(text).expect(text), part);
        }
        let error = part_named("pharmacy").expect_err("there is none").to_string();
        assert!(error.contains("pharmacy") && error.contains("appointment"), "{error}");
    }
}

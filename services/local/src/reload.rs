//! The resource's file, read at the start and again whenever it changes.
//!
//! The file is looked at five times a second rather than watched by the kernel: editors replace files, mounts swallow events, and a
//! read of a few kilobytes costs nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::Gateway;
use settings::{GatewayConfig, ServiceName};
use stack::{Placement, Stack, plan_gateway, plan_service};

use crate::fault::Fault;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Reads a stack, or tells every fault of it.
pub fn read(path: &Path) -> Result<Stack, Fault> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Fault::asked(format!("the HealthcareStack cannot be read: {}: {error}", path.display()))
    })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Stack, Fault> {
    Stack::from_yaml(text).map_err(|invalid| {
        let faults: Vec<_> = invalid.faults().iter().map(|fault| format!("  {fault}")).collect();
        Fault::asked(format!("{} is not a valid HealthcareStack:\n{}", path.display(), faults.join("\n")))
    })
}

/// Keeps the gateway to what the file says, for as long as the future lives. `started` is what the services run with.
pub async fn follow(path: PathBuf, started: &Stack, placement: &Placement, gateway: &Gateway) {
    let mut seen = std::fs::read_to_string(&path).unwrap_or_default();
    let mut applied = plan_gateway(started, placement);
    let mut unreadable = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let text = match text_of(&path) {
            Ok(text) => text,
            // A file that is not there for a moment is an editor's doing.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                if unreadable.replace(error.kind()) != Some(error.kind()) {
                    eprintln!("{} cannot be read: {error}\nNothing was changed.", path.display());
                }
                continue;
            }
        };
        unreadable = None;
        if text == seen {
            continue;
        }
        seen = text;
        match parse(&path, &seen).and_then(|changed| apply(started, &changed, &applied, placement, gateway)) {
            Ok(now) => applied = now,
            Err(fault) => eprintln!("{fault}\nNothing was changed."),
        }
    }
}

/// The file's text. Anything but a file, such as a pipe, could keep us waiting.
fn text_of(path: &Path) -> std::io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no file"));
    }
    std::fs::read_to_string(path)
}

/// Gives the gateway what the changed stack says, and tells what has to wait for the next start.
fn apply(
    started: &Stack,
    changed: &Stack,
    applied: &GatewayConfig,
    placement: &Placement,
    gateway: &Gateway,
) -> Result<GatewayConfig, Fault> {
    if (&changed.name, &changed.namespace) != (&started.name, &started.namespace) {
        return Err(Fault::asked("a stack's name and namespace cannot change while it runs"));
    }
    let config = plan_gateway(changed, placement);
    if config != *applied {
        gateway
            .apply(config.clone())
            .map_err(|error| Fault::asked(format!("the gateway refuses it: {error}")))?;
        println!("The HealthcareStack has changed: routes and limits are in force.");
    }
    // Where traces go is the whole process's, and was said to the gateway.
    let told = |stack: &Stack, service: ServiceName| {
        let mut settings = plan_service(stack, service, placement);
        settings.observability.tracing = None;
        settings
    };
    let waits = |service: &ServiceName| {
        !started.is_enabled(*service) || told(started, *service) != told(changed, *service)
    };
    let waiting: Vec<_> = changed.enabled().filter(waits).map(ServiceName::as_str).collect();
    if !waiting.is_empty() {
        println!("Start again for the rest of it to reach: {}.", waiting.join(", "));
    }
    Ok(config)
}

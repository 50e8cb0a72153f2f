//! The resource's file, read at the start and again whenever it changes.
//!
//! The file is looked at five times a second rather than watched by the kernel: editors replace files, mounts swallow events, and a
//! read of a few kilobytes costs nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::Gateway;
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

/// Keeps the gateway to what the file says, for as long as the future lives.
pub async fn follow(path: PathBuf, mut current: Stack, placement: Placement, gateway: &Gateway) {
    let mut seen = std::fs::read_to_string(&path).unwrap_or_default();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        // A file that is not there for a moment is an editor's doing.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        if text == seen {
            continue;
        }
        seen = text;
        match parse(&path, &seen).and_then(|changed| apply(&current, changed, &placement, gateway)) {
            Ok(changed) => current = changed,
            Err(fault) => eprintln!("{fault}\nNothing was changed."),
        }
    }
}

fn apply(current: &Stack, changed: Stack, placement: &Placement, gateway: &Gateway) -> Result<Stack, Fault> {
    if (&changed.name, &changed.namespace) != (&current.name, &current.namespace) {
        return Err(Fault::asked("a stack's name and namespace cannot change while it runs"));
    }
    let (before, after) = (plan_gateway(current, placement), plan_gateway(&changed, placement));
    if before != after {
        gateway.apply(after).map_err(|error| Fault::asked(format!("the gateway refuses it: {error}")))?;
        println!("The HealthcareStack has changed: routes and limits are in force.");
    }
    let waiting: Vec<_> = changed
        .enabled()
        .filter(|service| {
            !current.is_enabled(*service)
                || plan_service(current, *service, placement) != plan_service(&changed, *service, placement)
        })
        .map(|service| service.to_string())
        .collect();
    if !waiting.is_empty() {
        println!("Start again for what has changed in: {}.", waiting.join(", "));
    }
    Ok(changed)
}

//! The resource's file, read at the start and again whenever it changes.
//!
//! The file is looked at five times a second rather than watched by the kernel: editors replace files, mounts swallow events, and a
//! read of a few kilobytes costs nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::Gateway;
use settings::{GatewayConfig, ServiceName};
use stack::{Placement, Stack, plan_gateway, plan_service};

use crate::edit::{Edit, Effect};
use crate::fault::Fault;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A stack, and the text that says so.
#[derive(Debug)]
pub struct Written {
    /// What it says.
    pub stack: Stack,
    text: String,
}

/// Reads a stack, or tells every fault of it.
pub fn read(path: &Path) -> Result<Written, Fault> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Fault::asked(format!("the HealthcareStack cannot be read: {}: {error}", path.display()))
    })?;
    parse(path, text)
}

fn parse(path: &Path, text: String) -> Result<Written, Fault> {
    match Stack::from_yaml(&text) {
        Ok(stack) => Ok(Written { stack, text }),
        Err(invalid) => {
            let faults: Vec<_> = invalid.faults().iter().map(|fault| format!("  {fault}")).collect();
            let path = path.display();
            Err(Fault::asked(format!("{path} is not a valid HealthcareStack:\n{}", faults.join("\n"))))
        }
    }
}

/// Keeps the gateway to what the file says, for as long as the future lives. `started` is what the services run with.
pub async fn follow(path: PathBuf, started: Written, placement: &Placement, gateway: &Gateway) {
    let mut seen = started.text.clone();
    let config = plan_gateway(&started.stack, placement);
    let mut running = Running { started: started.stack.clone(), now: started, config, placement, gateway };
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
        seen.clone_from(&text);
        match parse(&path, text).and_then(|changed| running.take(changed)) {
            Ok(edit) => println!("{edit}"),
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

/// What runs, and what it was told last.
struct Running<'a> {
    /// What the services run with.
    started: Stack,
    now: Written,
    config: GatewayConfig,
    placement: &'a Placement,
    gateway: &'a Gateway,
}

impl Running<'_> {
    /// Gives the gateway what the changed stack says, and tells what became of the change.
    fn take(&mut self, changed: Written) -> Result<Edit, Fault> {
        let (before, after) = (&self.now.stack, &changed.stack);
        if (&after.name, &after.namespace) != (&before.name, &before.namespace) {
            return Err(Fault::asked(
                "metadata.name, metadata.namespace: a stack's name and namespace cannot change while it runs",
            ));
        }
        let config = plan_gateway(after, self.placement);
        let is_in_force = config != self.config;
        if is_in_force {
            self.gateway
                .apply(config.clone())
                .map_err(|error| Fault::asked(format!("the gateway refuses it: {error}")))?;
        }
        let moved = self.told_otherwise(before, after);
        let reached = self.told_otherwise(&self.started, after);
        let effect = Effect {
            is_in_force,
            is_settled: !moved.is_empty(),
            waits: moved.into_iter().filter(|service| reached.contains(service)).collect(),
        };
        let edit = Edit { paths: stack::changes(&self.now.text, &changed.text), effect };
        (self.now, self.config) = (changed, config);
        Ok(edit)
    }

    /// The services that are told otherwise by one stack than by another.
    fn told_otherwise(&self, before: &Stack, after: &Stack) -> Vec<ServiceName> {
        // Where traces go is the whole process's, and was said to the gateway.
        let told = |stack: &Stack, service: ServiceName| {
            let mut settings = plan_service(stack, service, self.placement);
            settings.observability.tracing = None;
            settings
        };
        let differs = |service: &ServiceName| {
            !before.is_enabled(*service) || told(before, *service) != told(after, *service)
        };
        after.enabled().filter(differs).collect()
    }
}

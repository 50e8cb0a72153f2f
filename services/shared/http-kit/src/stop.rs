//! How a process is asked to end, and how long it takes over it.
//!
//! SIGTERM comes from whoever runs many processes and moves callers from one to the other. They learn of it while it happens, so
//! the process first *lingers*: it says that it is not ready, and serves whoever still comes, with `Connection: close`. Then it *drains*:
//! no new connection, idle ones closed, requests under way finished. Ctrl-C comes from a person, who has no other process: it drains at
//! once, and so does a second signal.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Balancers, proxies and kube-proxy have heard of it by then.
pub const LINGER: Duration = Duration::from_secs(5);

/// Requests under way get so long to finish.
pub const DRAIN: Duration = Duration::from_secs(20);

/// How far a process is on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It is not.
    #[default]
    Running,
    /// It serves whoever comes, and asks them not to come back.
    Lingering,
    /// It finishes what is under way.
    Draining,
    /// The drain took too long: everything ends.
    Ended,
}

/// The signals that ask a process to end.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Whoever runs the process: SIGTERM.
    ToTerminate,
    /// A person: SIGINT, which is Ctrl-C.
    ToInterrupt,
}

impl Signals {
    /// Hears them from now on. To be called first of all: the first process of a container ignores what it does not listen to, and would
    /// start in peace after it was told to end.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns when the process is asked to end.
    pub async fn asked(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::ToTerminate,
            _ = self.interrupt.recv() => Asked::ToInterrupt,
        }
    }

    /// Returns when a process that was so asked may drain.
    pub async fn linger(&mut self, asked: Asked) {
        if asked == Asked::ToTerminate {
            let _ = tokio::time::timeout(LINGER, self.asked()).await;
        }
    }
}

//! Threads that answer, each with a runtime of its own: a connection never moves, and what it needs lies where it is.

use std::cell::Cell;
use std::io;
use std::net::TcpListener;
use std::sync::OnceLock;
use std::thread::available_parallelism;

use http_kit::stop::Phase;

use crate::accept::{self, Door};
use crate::gateway::Guard;
use crate::limits;

thread_local! {
    /// Which of the threads this is, counted from 1; 0 is any other.
    static THREAD: Cell<usize> = const { Cell::new(0) };
}

/// As many as there are processors that this process may use.
pub(crate) fn count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| available_parallelism().map_or(1, usize::from))
}

/// This thread's place in what is kept for each: below [`places`].
pub(crate) fn place() -> usize {
    THREAD.get() % places()
}

/// A place for each thread, and one for all that are none of them.
pub(crate) fn places() -> usize {
    count() + 1
}

/// Starts one, which accepts at a socket until the gateway drains, and ends with the gateway. `guard` is dropped when it accepts no more.
pub(crate) fn start(index: usize, socket: TcpListener, door: Door, guard: Guard) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut phase = door.core.phase.clone();
    let run = move || {
        THREAD.set(index + 1);
        runtime.block_on(async {
            tokio::spawn(limits::keep(door.core.kept.stores(), place()));
            match tokio::net::TcpListener::from_std(socket) {
                Ok(socket) => accept::run(socket, door).await,
                Err(error) => tracing::error!(%error, "a thread cannot listen"),
            }
            drop(guard);
            // Connections under way are this runtime's, and end with it.
            let _ = phase.wait_for(|phase| *phase == Phase::Ended).await;
        });
    };
    std::thread::Builder::new().name(format!("gateway-{index}")).spawn(run).map(drop)
}

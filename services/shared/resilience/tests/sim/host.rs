//! What a simulated host does with a request: eight bytes come, and one goes back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};

use crate::ledger::Ledger;

pub(crate) const PORT: u16 = 8082;
pub(crate) const WELL: u8 = 1;
pub(crate) const SICK: u8 = 0;
/// Longer than a breaker takes for well, and within a caller's deadline.
const SLOW: Duration = Duration::from_millis(250);

/// How a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// It answers at once, and badly.
    Sick,
    /// It answers well, and late.
    Slow,
    /// It takes requests, and says nothing.
    Hung,
}

/// Runs until it crashes.
pub(crate) async fn serve(number: usize, ledger: Arc<Ledger>) -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::task::spawn_local(answer(stream, number, Arc::clone(&ledger)));
    }
}

async fn answer(mut stream: TcpStream, number: usize, ledger: Arc<Ledger>) -> io::Result<()> {
    let call = stream.read_u64().await?;
    ledger.arrived(number, call);
    tokio::time::sleep(Duration::from_millis(2)).await;
    match ledger.mood(number) {
        Mood::Well => stream.write_u8(WELL).await,
        Mood::Sick => stream.write_u8(SICK).await,
        Mood::Slow => {
            tokio::time::sleep(SLOW).await;
            stream.write_u8(WELL).await
        }
        Mood::Hung => std::future::pending().await,
    }
}

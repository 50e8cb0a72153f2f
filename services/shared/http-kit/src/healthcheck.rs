//! `healthcheck`: a process asks another of its kind whether it is ready, for container engines without HTTP probes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use settings::Address;

const TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Why it is not well.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// It does not answer.
    #[error("{address} does not answer: {source}")]
    Silent {
        /// Where it was asked.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// It says so itself.
    #[error("not ready")]
    NotReady,
}

/// Asks the `/readyz` of whoever listens at an address. One that stands for every address of the machine is asked at its own.
pub fn healthcheck(listen: &Address) -> Result<(), Unhealthy> {
    let status = ask(listen).map_err(|source| Unhealthy::Silent { address: listen.clone(), source })?;
    if status.ends_with(b"200") { Ok(()) } else { Err(Unhealthy::NotReady) }
}

/// The answer's first twelve bytes: `HTTP/1.1 200`.
fn ask(listen: &Address) -> io::Result<[u8; 12]> {
    if let Some(path) = listen.unix_path() {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        return converse(stream);
    }
    let mut silent = io::ErrorKind::AddrNotAvailable.into();
    for address in addresses(listen.authority().unwrap_or_default())? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                return converse(stream);
            }
            Err(error) => silent = error,
        }
    }
    Err(silent)
}

/// Where to ask: of `[::]`, which may stand for `0.0.0.0`, in either family.
fn addresses(authority: &str) -> io::Result<Vec<SocketAddr>> {
    let own = match authority.strip_prefix("[::]") {
        Some(port) => vec![format!("127.0.0.1{port}"), format!("[::1]{port}")],
        None => vec![authority.replace("0.0.0.0", "127.0.0.1")],
    };
    let own: io::Result<Vec<_>> = own.iter().map(ToSocketAddrs::to_socket_addrs).collect();
    Ok(own?.into_iter().flatten().collect())
}

fn converse(mut stream: impl Read + Write) -> io::Result<[u8; 12]> {
    let mut answer = [0; 12];
    stream.write_all(REQUEST)?;
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

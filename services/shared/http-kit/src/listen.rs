//! A socket at an address, whatever families of addresses the machine has.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted; as many as tokio lets wait.
const BACKLOG: i32 = 1024;

/// Listens, for tokio to take over. `[::]` takes calls over IPv4 too, whatever the kernel's default is, and stands for `0.0.0.0` where there is
/// no IPv6.
pub fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    match bind(address) {
        Err(error) if is_without_v6(&error) && address.is_ipv6() && address.ip().is_unspecified() => {
            bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        bound => bound,
    }
}

/// So many sockets at one address, among which the kernel divides whoever connects. That somebody else listens there is told all the same.
pub fn listen_shared(address: SocketAddr, sockets: usize) -> io::Result<Vec<TcpListener>> {
    let alone = listen(address)?;
    let address = alone.local_addr()?;
    drop(alone);
    (0..sockets).map(|_| socket(address, true)).collect()
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    socket(address, false)
}

fn socket(address: SocketAddr, is_shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A process that is started again takes the port over from connections of the last one that are not quite gone.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The kernel was built or booted without IPv6, or the machine has not one address of that family.
fn is_without_v6(error: &io::Error) -> bool {
    /// The address family is not supported: what `socket` says.
    const EAFNOSUPPORT: i32 = 97;
    error.raw_os_error() == Some(EAFNOSUPPORT) || error.kind() == io::ErrorKind::AddrNotAvailable
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn who_listens_at_all_addresses_is_called_over_either_family() {
        let listener = listen("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        if std::net::TcpListener::bind("[::1]:0").is_ok() {
            assert!(TcpStream::connect(("::1", port)).is_ok());
        }
    }

    #[test]
    fn only_what_says_that_there_is_no_ipv6_stands_for_ipv4() {
        assert!(is_without_v6(&io::Error::from_raw_os_error(97)));
        assert!(!is_without_v6(&io::ErrorKind::AddrInUse.into()));
        let taken = listen("[::]:0").unwrap();
        assert!(listen(taken.local_addr().unwrap()).is_err());
    }
}

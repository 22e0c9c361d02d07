//! TCP: listening, and taking connections.

use crate::Error;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Connections the system completes before we accept them.
const BACKLOG: i32 = 1024;
/// Pause after the system could not give us a connection: it is out of file handles or memory, and
/// would say so again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens. Port 0 takes a free one, [`TcpListener::local_addr`] tells which. An IPv6 address takes
/// IPv6 only, on every system, so that `0.0.0.0` and `::` can share a port.
///
/// # Errors
/// [`Error::Listen`].
pub fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    bind(address).map_err(|source| Error::Listen { address, source })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A listener must come up again although connections of its last life linger.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Takes connections until it is stopped. `take` must not wait.
pub(crate) async fn accept(
    listener: TcpListener,
    stop: &CancellationToken,
    mut take: impl FnMut(TcpStream, SocketAddr),
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => take(stream, remote),
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(PAUSE) => {}
                }
            }
        }
    }
}

/// The connection was gone before we took it.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted)
}

/// The address at which others reach a listener: its own, or for "any" the one this machine uses towards others.
///
/// Connecting a UDP socket only asks the routing table; nothing is sent. The targets are addresses reserved for
/// documentation.
pub fn reached_at(listening: IpAddr) -> Option<IpAddr> {
    if !listening.is_unspecified() {
        return Some(listening);
    }
    let target = if listening.is_ipv4() { "192.0.2.1:9" } else { "[2001:db8::1]:9" };
    let socket = UdpSocket::bind((listening, 0)).ok()?;
    socket.connect(target).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listens_on_both_families_of_one_port() {
        let v4 = listen("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = v4.local_addr().unwrap().port();
        listen(format!("[::]:{port}").parse().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn says_that_an_address_is_taken() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = listen(listener.local_addr().unwrap()).unwrap_err();
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }
}

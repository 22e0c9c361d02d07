//! TCP: listening, and dialling a host that may have several addresses.

use crate::Error;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use waypost_core::SrempAddress;

/// Connections the system completes before we accept them.
const BACKLOG: i32 = 1024;
/// Addresses of one name that are tried; more is somebody's joke.
const ADDRESSES: usize = 6;
/// Between two tries of one name's addresses (RFC 8305, 8: 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

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

/// Connects to a host within a time that covers looking up its name too. Of several addresses the
/// first that answers is taken; each gets a head start of 250 ms.
///
/// # Errors
/// [`Error::Unreachable`] with the reason of the last try.
pub async fn dial(to: &SrempAddress, within: Duration) -> Result<TcpStream, Error> {
    let stream = match timeout(within, connect(to)).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
    };
    stream.map_err(|source| Error::Unreachable { to: to.to_string(), source })
}

async fn connect(to: &SrempAddress) -> io::Result<TcpStream> {
    let found: Vec<_> = lookup_host((to.host.as_str(), to.port)).await?.collect();
    let mut addresses = waypost_sremp::select::candidates(None, &found, &[], ADDRESSES).into_iter();
    let mut tries = JoinSet::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let next = addresses.next();
        let more = next.is_some();
        if let Some(address) = next {
            tries.spawn(connect_one(address));
        } else if tries.is_empty() {
            return Err(last);
        }
        tokio::select! {
            Some(done) = tries.join_next() => match done.map_err(io::Error::other).flatten() {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = sleep(STAGGER), if more => {}
        }
    }
}

async fn connect_one(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str) -> SrempAddress {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn reaches_a_name_that_only_answers_on_one_of_its_addresses() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = dial(&to(&format!("localhost:{port}")), Duration::from_secs(5)).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn listens_on_both_families_of_one_port() {
        let v4 = listen("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = v4.local_addr().unwrap().port();
        listen(format!("[::]:{port}").parse().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn says_that_nobody_answers() {
        let port = listen("127.0.0.1:0".parse().unwrap()).unwrap().local_addr().unwrap().port();
        let error = dial(&to(&format!("127.0.0.1:{port}")), Duration::from_secs(5)).await.unwrap_err();
        assert!(
            matches!(error, Error::Unreachable { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
        );
    }

    #[tokio::test]
    async fn says_that_an_address_is_taken() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = listen(listener.local_addr().unwrap()).unwrap_err();
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_in_time_on_an_address_that_never_answers() {
        // A listener whose queue is full does not answer; the time is virtual.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut full = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            full.push(stream);
        }
        let error = dial(&to(&address.to_string()), Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { source, .. } if source.kind() == io::ErrorKind::TimedOut));
    }
}

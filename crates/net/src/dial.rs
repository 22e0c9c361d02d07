//! Opening connections to others: directly or by a proxy, and never to where others may not send us.

use crate::proxy::Proxy;
use crate::{Error, proxy};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use waypost_core::SrempAddress;
use waypost_sremp::endpoint::{AddressFilter, Endpoint, Learned};
use waypost_sremp::version::{HEADER_LEN, OWN_HEADER, VersionHeader};

/// Addresses of one name that are tried; more is somebody's joke.
const ADDRESSES: usize = 6;
/// Between two tries of one name's addresses (RFC 8305, 8: 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// How connections are opened.
#[derive(Clone, Debug, Default)]
pub struct Dialling {
    /// Everything goes by it, and nothing by another way: no name is looked up here either.
    pub proxy: Option<Proxy>,
    /// Which addresses are dialled when others named them.
    pub filter: AddressFilter,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// These addresses, in the system's order; none if there is no such name.
    Addresses(Vec<SocketAddr>),
    /// Only the proxy may look it up: the name itself is to be dialled.
    ByProxy,
}

impl Dialling {
    /// Looks up a host, unless that is the proxy's business.
    pub async fn resolve(&self, host: &SrempAddress, within: Duration) -> Resolved {
        if let Ok(address) = host.host.parse() {
            return Resolved::Addresses(vec![SocketAddr::new(address, host.port)]);
        }
        if self.proxy.is_some() {
            return Resolved::ByProxy;
        }
        let found = timeout(within, lookup_host((host.host.as_str(), host.port))).await;
        Resolved::Addresses(found.ok().and_then(Result::ok).map(Iterator::collect).unwrap_or_default())
    }

    /// Connects to a host within a time that covers looking up its name too. Of several addresses the
    /// first that answers is taken; each gets a head start of 250 ms. `purpose` tells the proxy which
    /// connections may share a way, by a name of its own for each purpose.
    ///
    /// # Errors
    /// [`Error::NotPermitted`]: nothing but addresses that the filter refuses. [`Error::Unreachable`] with
    /// the reason of the last try. [`Error::Proxy`]: the proxy itself failed.
    pub async fn connect(
        &self,
        to: &SrempAddress,
        learned: Learned,
        purpose: &str,
        within: Duration,
    ) -> Result<TcpStream, Error> {
        let connected = async {
            match &self.proxy {
                Some(proxy) => self.connect_by(proxy, to, learned, purpose).await,
                None => self.connect_directly(to, learned).await,
            }
        };
        let timed_out = || Error::Unreachable { to: to.to_string(), source: io::ErrorKind::TimedOut.into() };
        timeout(within, connected).await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// Whether somebody who speaks SREMP answers where somebody else says so: dialled once, if the filter
    /// lets that be. Profile, Rendezvous: a server may dial an endpoint back.
    pub async fn probe(&self, endpoint: &Endpoint, within: Duration) -> bool {
        let probed = async {
            let mut stream = self.connect(&endpoint.into(), Learned::FromOthers, "probe", within).await.ok()?;
            stream.write_all(&OWN_HEADER.to_bytes()).await.ok()?;
            let mut header = [0; HEADER_LEN];
            stream.read_exact(&mut header).await.ok()?;
            VersionHeader::decode(&header).ok()
        };
        timeout(within, probed).await.ok().flatten().is_some()
    }

    async fn connect_by(
        &self,
        proxy: &Proxy,
        to: &SrempAddress,
        learned: Learned,
        purpose: &str,
    ) -> Result<TcpStream, Error> {
        // What a name stands for only the proxy knows; names that never stand for the Internet are known.
        let permitted = match to.host.parse::<IpAddr>() {
            Ok(address) => self.filter.permits(address, learned),
            Err(_) => self.filter.permits(Ipv4Addr::LOCALHOST.into(), learned) || !proxy::is_local_name(&to.host),
        };
        if !permitted {
            return Err(Error::NotPermitted { to: to.to_string() });
        }
        proxy.connect(to, purpose).await
    }

    async fn connect_directly(&self, to: &SrempAddress, learned: Learned) -> Result<TcpStream, Error> {
        let unreachable = |source| Error::Unreachable { to: to.to_string(), source };
        let found: Vec<_> = lookup_host((to.host.as_str(), to.port)).await.map_err(unreachable)?.collect();
        let permitted: Vec<_> =
            found.iter().copied().filter(|address| self.filter.permits(address.ip(), learned)).collect();
        if permitted.is_empty() && !found.is_empty() {
            return Err(Error::NotPermitted { to: to.to_string() });
        }
        connect_any(&permitted).await.map_err(unreachable)
    }
}

async fn connect_any(found: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut addresses = waypost_sremp::select::candidates(None, found, &[], ADDRESSES).into_iter();
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

pub(crate) async fn connect_one(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::listen;

    const PATIENCE: Duration = Duration::from_secs(5);

    async fn dial(to: &str, learned: Learned) -> Result<TcpStream, Error> {
        Dialling::default().connect(&to.parse().unwrap(), learned, "test", PATIENCE).await
    }

    #[tokio::test]
    async fn reaches_a_name_that_only_answers_on_one_of_its_addresses() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = dial(&format!("localhost:{port}"), Learned::FromUser).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }

    /// SR-6c: the filter is asked of the address that is dialled.
    #[tokio::test]
    async fn does_not_dial_a_name_of_others_that_resolves_to_a_private_address() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["localhost", "127.0.0.1"] {
            let to = format!("{host}:{port}");
            let refused = dial(&to, Learned::FromOthers).await.unwrap_err();
            assert!(matches!(refused, Error::NotPermitted { .. }), "{refused}");
            let filter = AddressFilter { allow_private_endpoints: true };
            let dialling = Dialling { filter, ..Dialling::default() };
            dialling.connect(&to.parse().unwrap(), Learned::FromOthers, "test", PATIENCE).await.unwrap();
        }
    }

    #[tokio::test]
    async fn finds_the_addresses_of_a_name_unless_a_proxy_does() {
        let host = "localhost:7".parse().unwrap();
        let Resolved::Addresses(found) = Dialling::default().resolve(&host, PATIENCE).await else { panic!() };
        assert!(found.contains(&"127.0.0.1:7".parse().unwrap()), "{found:?}");
        let proxy = Some("127.0.0.1:1".parse().unwrap());
        let dialling = Dialling { proxy, ..Dialling::default() };
        assert_eq!(dialling.resolve(&host, PATIENCE).await, Resolved::ByProxy);
        let nobody = "nobody.invalid:7".parse().unwrap();
        assert_eq!(Dialling::default().resolve(&nobody, PATIENCE).await, Resolved::Addresses(Vec::new()));
    }

    #[tokio::test]
    async fn says_that_nobody_answers() {
        let port = listen("127.0.0.1:0".parse().unwrap()).unwrap().local_addr().unwrap().port();
        let error = dial(&format!("127.0.0.1:{port}"), Learned::FromUser).await.unwrap_err();
        assert!(
            matches!(error, Error::Unreachable { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
        );
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
        let error = dial(&address.to_string(), Learned::FromUser).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { source, .. } if source.kind() == io::ErrorKind::TimedOut));
    }
}

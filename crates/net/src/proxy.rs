//! SOCKS5 (RFC 1928, 1929). Names go to the proxy as they are, so that nobody on this side of it learns them.

use crate::Error;
use crate::dial::connect_one;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use tokio::net::TcpStream;
use tokio_socks::tcp::Socks5Stream;
use waypost_core::SrempAddress;
use zeroize::Zeroizing;

/// A SOCKS5 proxy, for example Tor's `127.0.0.1:9050`. Written `socks5://[user:password@]address:port`.
#[derive(Clone)]
pub struct Proxy {
    /// An address, not a name: that would have to be looked up without it.
    address: SocketAddr,
    login: Option<Login>,
    /// Makes purposes into names that say nothing; new with each start.
    salt: RandomState,
}

#[derive(Clone)]
struct Login {
    user: String,
    password: Zeroizing<String>,
}

impl Proxy {
    /// A proxy that asks for no login.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, login: None, salt: RandomState::new() }
    }

    /// Has the proxy connect to a host. Without a login of its own, each purpose has another user name:
    /// Tor lets connections of different names share no circuit.
    pub(crate) async fn connect(&self, to: &SrempAddress, purpose: &str) -> Result<TcpStream, Error> {
        let failed = |reason: String| Error::Proxy { proxy: self.address, reason };
        let socket = connect_one(self.address).await.map_err(|error| failed(error.to_string()))?;
        let made_up = format!("waypost-{:016x}", self.salt.hash_one(purpose));
        let (user, password) = match &self.login {
            Some(login) => (login.user.as_str(), login.password.as_str()),
            None => (made_up.as_str(), "-"),
        };
        let target = (to.host.as_str(), to.port);
        let connected = Socks5Stream::connect_with_password_and_socket(socket, target, user, password).await;
        match connected {
            Ok(stream) => Ok(stream.into_inner()),
            Err(error) => match not_reached(&error) {
                Some(kind) => Err(Error::Unreachable { to: to.to_string(), source: kind.into() }),
                None => Err(failed(error.to_string())),
            },
        }
    }
}

/// What the proxy says of the host, not of itself.
fn not_reached(error: &tokio_socks::Error) -> Option<io::ErrorKind> {
    use io::ErrorKind as Kind;
    use tokio_socks::Error as E;
    match error {
        E::GeneralSocksServerFailure | E::HostUnreachable => Some(Kind::HostUnreachable),
        E::NetworkUnreachable => Some(Kind::NetworkUnreachable),
        E::ConnectionRefused => Some(Kind::ConnectionRefused),
        E::TtlExpired => Some(Kind::TimedOut),
        _ => None,
    }
}

/// Names that stand for something near, whoever looks them up.
pub(crate) fn is_local_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    last == host || ["localhost", "local", "internal"].contains(&last) || host.ends_with(".home.arpa")
}

impl PartialEq for Proxy {
    fn eq(&self, other: &Self) -> bool {
        let login = |proxy: &Self| proxy.login.as_ref().map(|login| (login.user.clone(), login.password.clone()));
        self.address == other.address && login(self) == login(other)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.login.is_some() { "..@" } else { "" };
        write!(f, "Proxy(socks5://{login}{})", self.address)
    }
}

impl FromStr for Proxy {
    type Err = BadProxy;

    /// `socks5h://` means the same, and the scheme may be left out.
    fn from_str(text: &str) -> Result<Self, BadProxy> {
        let rest = text.strip_prefix("socks5://").or_else(|| text.strip_prefix("socks5h://")).unwrap_or(text);
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, rest),
        };
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').ok_or(BadProxy::Login)?;
            let fits = |text: &str| (1..=255).contains(&text.len());
            let login = Login { user: user.to_owned(), password: Zeroizing::new(password.to_owned()) };
            if fits(user) && fits(password) { Ok(login) } else { Err(BadProxy::Login) }
        });
        let address = address.trim_end_matches('/').parse().map_err(|_| BadProxy::Address)?;
        Ok(Self { login: login.transpose()?, ..Self::new(address) })
    }
}

/// Text that names no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadProxy {
    /// No IP address and port.
    #[error(
        "a proxy is written socks5://address:port, with an IP address: a name would have to be looked up without it"
    )]
    Address,
    /// The login is not both, or longer than the protocol takes.
    #[error("a proxy's login is written user:password@, each of 1 to 255 bytes")]
    Login,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_with_and_without_a_login_and_shows_no_password() {
        let plain: Proxy = "127.0.0.1:9050".parse().unwrap();
        assert_eq!(plain, Proxy::new("127.0.0.1:9050".parse().unwrap()));
        for text in ["socks5://127.0.0.1:9050", "socks5h://127.0.0.1:9050/"] {
            assert_eq!(text.parse::<Proxy>().unwrap(), plain);
        }
        let login: Proxy = "socks5://me:se:cr@t@[::1]:1080".parse().unwrap();
        assert_ne!(login, Proxy::new("[::1]:1080".parse().unwrap()));
        assert_eq!(format!("{login:?}"), "Proxy(socks5://..@[::1]:1080)");
    }

    #[test]
    fn refuses_names_and_half_a_login() {
        for text in ["localhost:9050", "http://127.0.0.1:1", "127.0.0.1", ""] {
            assert_eq!(text.parse::<Proxy>(), Err(BadProxy::Address), "{text}");
        }
        for text in ["me@127.0.0.1:1", ":@127.0.0.1:1", "me:@127.0.0.1:1"] {
            assert_eq!(text.parse::<Proxy>(), Err(BadProxy::Login), "{text}");
        }
    }

    #[test]
    fn knows_names_of_near_things() {
        for host in ["localhost", "router", "nas.local", "a.localhost", "db.internal", "nas.home.arpa"] {
            assert!(is_local_name(host), "{host}");
        }
        for host in ["example.com", "abc.onion", "local.example"] {
            assert!(!is_local_name(host), "{host}");
        }
    }
}

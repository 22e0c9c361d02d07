//! Addresses within the simulation.

use std::{fmt, str::FromStr, sync::Arc};
use waypost_core::{BadAddress, SrempAddress};

/// Host and port. A host is a name or an IP address; nothing is resolved, equal text is the same host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr {
    /// The host as text.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
}

impl Addr {
    /// The port `port` of `host`.
    pub fn new(host: impl Into<Arc<str>>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&SrempAddress::from(self.clone()), f)
    }
}

impl FromStr for Addr {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        text.parse::<SrempAddress>().map(|address| Self::from(&address))
    }
}

/// # Panics
/// If the text is not `host:port`.
impl From<&str> for Addr {
    fn from(text: &str) -> Self {
        text.parse().unwrap_or_else(|fault| panic!("address {text}: {fault}"))
    }
}

impl From<&SrempAddress> for Addr {
    fn from(address: &SrempAddress) -> Self {
        Self::new(address.host.as_str(), address.port)
    }
}

impl From<Addr> for SrempAddress {
    fn from(addr: Addr) -> Self {
        Self { host: addr.host.to_string(), port: addr.port }
    }
}

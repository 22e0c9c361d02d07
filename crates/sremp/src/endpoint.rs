//! Where to dial: a host in its one canonical form, and a port. SREMP 7.2, profile SR-7.2a.

mod filter;

pub use filter::{AddressFilter, Learned};

use crate::{
    Error,
    msgpack::{Field, Reader, Writer, record},
};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU16,
    str::FromStr,
};
use waypost_core::SrempAddress;

record! {
    /// An endpoint as it travels, its host not yet looked at.
    pub struct DnsEndpoint {
        /// A DNS name or an IP address, hopefully.
        pub host: String,
        /// TCP port.
        pub port: u16,
    }
}

impl DnsEndpoint {
    /// Takes only what can be dialled.
    ///
    /// # Errors
    /// Malformed: the host is not in its canonical form, or the port is 0.
    pub fn check(&self) -> Result<Endpoint, Error> {
        Endpoint::new(&self.host, self.port)
    }
}

/// A host and a port that can be dialled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    host: Host,
    port: NonZeroU16,
}

impl Endpoint {
    /// Takes only canonical hosts.
    ///
    /// # Errors
    /// Malformed: the host is not in its canonical form, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, Error> {
        let port = NonZeroU16::new(port).ok_or(Error::Malformed("port 0"))?;
        Ok(Self { host: host.parse()?, port })
    }

    /// The host.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port.get()
    }

    /// As it travels.
    pub fn to_wire(&self) -> DnsEndpoint {
        DnsEndpoint { host: self.host.to_string(), port: self.port() }
    }
}

impl fmt::Display for Endpoint {
    /// `host:port`, an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::V6(address) => write!(f, "[{address}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (host, port) = text.rsplit_once(':').ok_or(Error::Malformed("no port"))?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
        let port = port.parse().ok().filter(|_| digits).ok_or(Error::Malformed("port"))?;
        match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) if inner.contains(':') => Self::new(inner, port),
            None if !host.contains(':') => Self::new(host, port),
            _ => Err(Error::Malformed("brackets are for IPv6 addresses")),
        }
    }
}

impl From<&Endpoint> for SrempAddress {
    fn from(endpoint: &Endpoint) -> Self {
        Self { host: endpoint.host.to_string(), port: endpoint.port() }
    }
}

impl TryFrom<&SrempAddress> for Endpoint {
    type Error = Error;

    fn try_from(address: &SrempAddress) -> Result<Self, Error> {
        Self::new(&address.host, address.port)
    }
}

impl Field for Endpoint {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        DnsEndpoint::read(reader)?.check()
    }

    fn write(&self, writer: &mut Writer) {
        self.to_wire().write(writer);
    }
}

/// A host in its canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A lower-case name of letters, digits and hyphens; A-labels for other scripts.
    Name(String),
    /// A dotted quad.
    V4(Ipv4Addr),
    /// As RFC 5952 writes it.
    V6(Ipv6Addr),
}

impl Host {
    /// The address, unless it is a name.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => address.fmt(f),
        }
    }
}

impl FromStr for Host {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.contains(':') {
            return ipv6(text).map(Self::V6);
        }
        let last = text.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return ipv4(text).map(Self::V4);
        }
        if text.len() > 253 || !text.split('.').all(is_label) {
            return Err(Error::Malformed("host name"));
        }
        Ok(Self::Name(text.to_owned()))
    }
}

fn ipv4(text: &str) -> Result<Ipv4Addr, Error> {
    let address: Ipv4Addr = text.parse().map_err(|_| Error::Malformed("IPv4 address"))?;
    if address.is_unspecified() || address.to_string() != text {
        return Err(Error::Malformed("IPv4 address"));
    }
    Ok(address)
}

/// Addresses that hold an IPv4 address in their last 32 bits have two ways to be written, so all of
/// them are refused.
fn ipv6(text: &str) -> Result<Ipv6Addr, Error> {
    let address: Ipv6Addr = text.parse().map_err(|_| Error::Malformed("IPv6 address"))?;
    let upper_is_zero = address.to_bits() >> 32 == 0 && address != Ipv6Addr::LOCALHOST;
    if upper_is_zero || address.to_ipv4_mapped().is_some() || address.to_string() != text {
        return Err(Error::Malformed("IPv6 address"));
    }
    Ok(address)
}

fn is_label(label: &str) -> bool {
    let ldh = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&label.len()) && label.bytes().all(ldh) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SR-7.2a
    #[test]
    fn takes_canonical_hosts() {
        let long = format!("{}.{}", ["a".repeat(63).as_str(); 3].join("."), "b".repeat(61));
        for host in
            ["relay.example", "a", "xn--bcher-kva.example", "1.2.3.x4", "192.0.2.7", "2001:db8::7", "::1", &long]
        {
            assert_eq!(host.parse::<Host>().map(|host| host.to_string()), Ok(host.to_owned()));
        }
    }

    /// SR-7.2a
    #[test]
    fn refuses_every_other_spelling() {
        let too_long = format!("{}.{}", ["a".repeat(63).as_str(); 3].join("."), "b".repeat(62));
        let refused = [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "A.example",
            "a_b",
            "-a",
            "a-",
            "b\u{fc}cher.example",
            "a b",
            &too_long,
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1.2.3.256",
            "0.0.0.0",
            "example.1",
            "0x7f.1",
            "::",
            "::2",
            "::1.2.3.4",
            "::ffff:1.2.3.4",
            "::ffff:102:304",
            "64:ff9b::1.2.3.4",
            "2001:DB8::7",
            "2001:db8:0:0::7",
            "2001:0db8::7",
            "fe80::1%eth0",
            "[::1]",
            "0:0:0:0:0:0:0:1",
        ];
        for host in refused {
            assert!(host.parse::<Host>().is_err(), "{host}");
        }
        assert!(Endpoint::new("relay.example", 0).is_err());
    }

    #[test]
    fn reads_back_the_text_it_shows() {
        for text in ["relay.example:4433", "192.0.2.5:1", "[2001:db8::5]:65535"] {
            assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()), Ok(text.to_owned()));
        }
        for text in ["a", "a:", "a:0", "a:01", "a:+1", "a:65536", "2001:db8::5:1", "[a]:1", "[192.0.2.5]:1", "[::1:1"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}

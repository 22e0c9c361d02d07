//! Where a contact is reachable: one variant a wire, written as a URI.

use crate::ContactId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, net::Ipv6Addr, str::FromStr};

/// One of the protocols a letter can travel by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Wire {
    /// Secure Relay-Enhanced Messaging.
    Sremp,
    /// Framelink: a stream secured by a key the two people share.
    Framelink,
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sremp => "sremp",
            Self::Framelink => "framelink",
        })
    }
}

/// Where a contact is reachable on one wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Address {
    /// `sremp://host:port`: a listener that speaks SREMP over TCP.
    Sremp(SrempAddress),
    /// `sremp-relay://host:port?k=KEY`: a relay that keeps letters for the contact while it is away.
    SrempRelay(RelayAddress),
    /// `framelink://host:port`: a listener for those who share a key with the contact.
    Framelink(SrempAddress),
}

impl Address {
    /// The wire it belongs to.
    pub fn wire(&self) -> Wire {
        match self {
            Self::Sremp(_) | Self::SrempRelay(_) => Wire::Sremp,
            Self::Framelink(_) => Wire::Framelink,
        }
    }
}

/// Host and port of a listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SrempAddress {
    /// A DNS name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// TCP port, not 0.
    pub port: u16,
}

/// An SREMP relay: where it is, and who must answer there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayAddress {
    /// Where.
    pub at: SrempAddress,
    /// The relay's identity key.
    pub identity: ContactId,
}

impl fmt::Display for RelayAddress {
    /// `host:port?k=KEY`, the key as hex.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}?k={}", self.at, self.identity)
    }
}

impl FromStr for RelayAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (at, key) = text.split_once("?k=").ok_or(BadAddress::Relay)?;
        Ok(Self { at: at.parse()?, identity: key.parse().map_err(|_| BadAddress::Relay)? })
    }
}

impl fmt::Display for SrempAddress {
    /// `host:port`, an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for SrempAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(BadAddress::Form)?;
        let port = port.parse().ok().filter(|&port| port != 0).ok_or(BadAddress::Port)?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match bracketed {
            Some(inner) => inner.parse::<Ipv6Addr>().map_err(|_| BadAddress::Host)?.to_string(),
            None if host.is_empty() || host.contains([':', '/', '[', ']', '@', ' ']) => return Err(BadAddress::Host),
            None => host.to_ascii_lowercase(),
        };
        Ok(Self { host, port })
    }
}

/// Text that is not an address, with the part that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAddress {
    /// No scheme of a wire in front, or no port behind.
    #[error("an address looks like sremp://host:port")]
    Form,
    /// The host is neither a name nor an IP address.
    #[error("the host must be a name, an IPv4 address or an IPv6 address in [brackets]")]
    Host,
    /// The port is missing, zero or above 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// A relay without its key.
    #[error("a relay looks like sremp-relay://host:port?k= and the 64 hex digits of its key")]
    Relay,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sremp(address) => write!(f, "sremp://{address}"),
            Self::SrempRelay(relay) => write!(f, "sremp-relay://{relay}"),
            Self::Framelink(address) => write!(f, "framelink://{address}"),
        }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Some(relay) = text.strip_prefix("sremp-relay://") {
            return Ok(Self::SrempRelay(relay.parse()?));
        }
        if let Some(address) = text.strip_prefix("framelink://") {
            return Ok(Self::Framelink(address.parse()?));
        }
        let rest = text.strip_prefix("sremp://").ok_or(BadAddress::Form)?;
        Ok(Self::Sremp(rest.parse()?))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "an address as a URI, like sremp://host:port" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_shows() {
        let relay = format!("sremp-relay://[2001:db8::1]:7310?k={}", "0a".repeat(32));
        for text in [
            "sremp://alice.example:7300",
            "sremp://192.0.2.1:1",
            "sremp://[2001:db8::1]:65535",
            &relay,
            "framelink://a.example:7301",
        ] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        assert_eq!("alice:1".parse::<Address>(), Err(BadAddress::Form));
        assert_eq!("sremp://alice".parse::<Address>(), Err(BadAddress::Form));
        assert_eq!("sremp://alice:0".parse::<Address>(), Err(BadAddress::Port));
        assert_eq!("sremp://[alice]:1".parse::<Address>(), Err(BadAddress::Host));
        assert_eq!("sremp://2001:db8::1:1".parse::<Address>(), Err(BadAddress::Host));
        assert_eq!("sremp-relay://relay.example:1".parse::<Address>(), Err(BadAddress::Relay));
        assert_eq!("sremp-relay://relay.example:1?k=ab".parse::<Address>(), Err(BadAddress::Relay));
    }
}

//! `config.toml`: what a person can set. Everything has a default; unknown keys are refused.

use crate::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;
use waypost_core::SrempAddress;
use waypost_net::dial::Dialling;
use waypost_net::proxy::Proxy;
use waypost_sremp::endpoint::AddressFilter;

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who the person is to others.
    pub profile: Profile,
    /// Letters in general.
    pub letters: Letters,
    /// The SREMP wire.
    pub sremp: Sremp,
    /// The framelink wire.
    pub framelink: Framelink,
    /// How programs on this machine reach the node.
    pub api: Api,
}

/// Who the person is to others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// The name contacts see, 1..=40 characters; empty means the one given at `init`.
    pub name: String,
}

/// Letters in general.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Letters {
    /// Tell senders when their letters were read.
    pub read_receipts: bool,
    /// How many letters of unknown senders may wait in all.
    pub request_letters: u32,
    /// How many letters of one unknown sender may wait.
    pub request_letters_each: u32,
    /// How many letters may wait to be sent.
    pub outbox_letters: u32,
}

impl Default for Letters {
    fn default() -> Self {
        Self { read_receipts: true, request_letters: 1_000, request_letters_each: 20, outbox_letters: 20_000 }
    }
}

/// The SREMP wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sremp {
    /// Whether the wire is used at all.
    pub enabled: bool,
    /// Where to listen for others; empty to only dial.
    #[schemars(with = "Vec<String>")]
    pub listen: Vec<SocketAddr>,
    /// The addresses on the card, as others reach them (`host:port`); empty means those of `listen` that name an address.
    #[serde(with = "addresses")]
    #[schemars(with = "Vec<String>")]
    pub advertise: Vec<SrempAddress>,
    /// Everything goes by this proxy, like `socks5://127.0.0.1:9050` for Tor, and no name is looked up here.
    pub proxy: Option<String>,
    /// Dial addresses inside private networks even if others named them: for networks without the Internet.
    pub allow_private_endpoints: bool,
    /// Domains whose name servers are asked for rendezvous servers at the start; never asked with a proxy.
    pub bootstrap: Vec<String>,
    /// Ask contacts to leave letters at your relays instead of connecting to you.
    pub prefers_async: bool,
    /// Let others leave letters at this node itself, for you alone, and say so in your identity.
    pub own_relay: bool,
    /// Appear in the public lists of rendezvous servers, for everybody to see.
    pub discoverable: bool,
}

impl Default for Sremp {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 7300))],
            advertise: Vec::new(),
            proxy: None,
            allow_private_endpoints: false,
            bootstrap: Vec::new(),
            prefers_async: false,
            own_relay: false,
            discoverable: false,
        }
    }
}

/// The framelink wire: sealed letters to contacts with whom a key is shared, on a local network for example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Framelink {
    /// Whether the wire is used at all; it carries what the SREMP wire seals, so that must be used too.
    pub enabled: bool,
    /// Where to listen for contacts; empty to only dial.
    #[schemars(with = "Vec<String>")]
    pub listen: Vec<SocketAddr>,
    /// The addresses on the card, as others reach them (`host:port`); empty means those of `listen` that name an address.
    #[serde(with = "addresses")]
    #[schemars(with = "Vec<String>")]
    pub advertise: Vec<SrempAddress>,
}

impl Default for Framelink {
    fn default() -> Self {
        Self { enabled: false, listen: vec![SocketAddr::from(([0, 0, 0, 0], 7301))], advertise: Vec::new() }
    }
}

/// How programs on this machine reach the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Loopback address for HTTP, like `127.0.0.1:7380`; none means no HTTP.
    #[schemars(with = "Option<String>")]
    pub http: Option<SocketAddr>,
}

impl Config {
    /// Reads the file; a missing one means all defaults.
    ///
    /// # Errors
    /// [`Error::BadInput`] with the place and the reason if it is not valid, [`Error::Environment`] if it cannot be read.
    pub fn load(path: &Path) -> Result<Self, Error> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|error| Error::BadInput(format!("{}: {error}", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::Environment(format!("cannot read {}: {error}", path.display()))),
        }
    }

    /// Reads the text of a configuration file and checks it.
    ///
    /// # Errors
    /// [`Error::BadInput`] with the reason.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let config: Self = toml::from_str(text).map_err(|error| Error::BadInput(error.to_string()))?;
        config.sremp.dialling()?;
        match config.api.http {
            Some(address) if !address.ip().is_loopback() => {
                Err(Error::BadInput("api.http must be a loopback address, like 127.0.0.1:7380".into()))
            }
            _ => Ok(config),
        }
    }

    /// The text of a configuration file that says the same.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written as TOML.
    pub fn to_text(&self) -> Result<String, Error> {
        toml::to_string_pretty(self).map_err(|error| Error::Internal(error.to_string()))
    }
}

impl Sremp {
    /// How connections are opened.
    ///
    /// # Errors
    /// [`Error::BadInput`] if the proxy is none.
    pub fn dialling(&self) -> Result<Dialling, Error> {
        let bad = |error: &dyn std::fmt::Display| Error::BadInput(format!("sremp.proxy: {error}"));
        let proxy = self.proxy.as_deref().map(str::parse::<Proxy>).transpose().map_err(|error| bad(&error))?;
        Ok(Dialling { proxy, filter: AddressFilter { allow_private_endpoints: self.allow_private_endpoints } })
    }
}

mod addresses {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use waypost_core::SrempAddress;

    pub(super) fn serialize<S: Serializer>(addresses: &[SrempAddress], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(addresses.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SrempAddress>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let mut config = Config::default();
        config.sremp.advertise = vec!["[2001:db8::1]:7300".parse().unwrap()];
        config.api.http = Some("127.0.0.1:7380".parse().unwrap());
        assert_eq!(Config::parse(&config.to_text().unwrap()).unwrap(), config);
    }

    #[test]
    fn refuses_unknown_keys_and_an_open_http_port() {
        assert!(Config::parse("[sremp]\nlisen = []").is_err());
        assert!(Config::parse("[api]\nhttp = \"0.0.0.0:80\"").is_err());
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }
}

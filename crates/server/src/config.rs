//! The settings of an operator: everything has a default, unknown keys are refused.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use waypost_core::ContactId;
use waypost_sremp::relay::{Access, Policy, TokenHash};
use waypost_sremp::rendezvous::RegistryLimits;

/// The text that `waypost serve --print-config` prints: every setting with its meaning.
pub const TEMPLATE: &str = include_str!("../waypost-server.toml");

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What this process is, when the command line does not say.
    pub roles: BTreeSet<Role>,
    /// Where keys, certificates and letters are kept; empty: the program's default.
    pub data: PathBuf,
    /// The host name or address that others use for this machine; empty: the machine's own address.
    pub advertise: String,
    /// The relay.
    pub relay: Relay,
    /// The rendezvous server.
    pub rendezvous: Rendezvous,
    /// Where letters lie.
    pub mailbox: Mailbox,
    /// Figures for the operator.
    pub metrics: Metrics,
}

/// What a process can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Keeps letters for people who are away.
    Relay,
    /// Tells where people are.
    Rendezvous,
}

impl std::str::FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "relay" => Ok(Self::Relay),
            "rendezvous" => Ok(Self::Rendezvous),
            other => Err(Error::Config(format!("\"{other}\" is no role; there are: relay, rendezvous"))),
        }
    }
}

/// The relay's settings. Numbers are the profile's policy (profile, Relay, Policy defaults).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// The name in the relay's identity.
    pub name: String,
    /// Who may be a client: `open`, `list` or `token`.
    pub access: AccessMode,
    /// Ids of those who may, for `list`.
    pub members: BTreeSet<ContactId>,
    /// SHA-256 of the tokens that admit, for `token`, as hex.
    pub token_hashes: BTreeSet<String>,
    /// Connections of one IPv4 address or IPv6 /64.
    pub connections_per_host: usize,
    /// Connections in all.
    pub connections: usize,
    /// Bytes of a letter.
    pub max_message_size: u32,
    /// Seconds a letter is kept.
    pub max_storage_duration: u32,
    /// Bytes of a mailbox.
    pub quota_bytes: u64,
    /// Letters of a mailbox.
    pub quota_messages: u32,
    /// Bytes of one sender in a mailbox.
    pub sender_bytes: u64,
    /// Letters of one sender in a mailbox.
    pub sender_messages: u32,
    /// Letters one sender may store a minute.
    pub rate_store: u32,
    /// Times one client may ask for letters a minute.
    pub rate_retrieve: u32,
    /// How full the disk may be, in percent, before nothing is stored any more.
    pub disk_percent: u8,
}

/// Who may be a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessMode {
    /// Everybody.
    #[default]
    Open,
    /// Those on the list.
    List,
    /// Those who were given a token.
    Token,
}

impl Default for Relay {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            listen: any(7310),
            name: "relay".to_owned(),
            access: AccessMode::Open,
            members: BTreeSet::new(),
            token_hashes: BTreeSet::new(),
            connections_per_host: 20,
            connections: 20_000,
            max_message_size: policy.max_message_size,
            max_storage_duration: policy.max_storage_duration,
            quota_bytes: policy.quota_bytes,
            quota_messages: policy.quota_messages,
            sender_bytes: policy.sender_bytes,
            sender_messages: policy.sender_messages,
            rate_store: policy.rate_store,
            rate_retrieve: policy.rate_retrieve,
            disk_percent: 85,
        }
    }
}

impl Relay {
    /// The policy that is announced and held.
    ///
    /// # Errors
    /// A token's hash is none.
    pub fn policy(&self) -> Result<Policy, Error> {
        let access = match self.access {
            AccessMode::Open => Access::Open,
            AccessMode::List => Access::List(self.members.clone()),
            AccessMode::Token => {
                let hash = |text: &String| {
                    let mut hash = [0; 32];
                    let bad = |_| Error::Config(format!("relay.token_hashes: \"{text}\" is not 64 hex digits"));
                    hex::decode_to_slice(text, &mut hash).map_err(bad).map(|()| TokenHash(hash))
                };
                Access::Token(self.token_hashes.iter().map(hash).collect::<Result<_, _>>()?)
            }
        };
        Ok(Policy {
            max_message_size: self.max_message_size,
            max_storage_duration: self.max_storage_duration,
            quota_bytes: self.quota_bytes,
            quota_messages: self.quota_messages,
            sender_bytes: self.sender_bytes,
            sender_messages: self.sender_messages,
            rate_store: self.rate_store,
            rate_retrieve: self.rate_retrieve,
            access,
            owner: None,
        })
    }
}

/// The rendezvous server's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rendezvous {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// PEM file with the certificate and its chain; empty: one is made, and clients pin it.
    pub certificate: PathBuf,
    /// PEM file with the certificate's key.
    pub key: PathBuf,
    /// Connections of one IPv4 address or IPv6 /64.
    pub connections_per_host: usize,
    /// Connections in all.
    pub connections: usize,
    /// Times one address may ask for somebody a minute.
    pub rate_lookup: u32,
    /// Servers that are named to clients who ask for others, as `sremp-rdv://` addresses.
    pub servers: Vec<String>,
    /// Dial each endpoint once before it is published (profile, Rendezvous: may; off by default).
    pub probe: bool,
}

impl Default for Rendezvous {
    fn default() -> Self {
        Self {
            listen: any(7320),
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            connections_per_host: 20,
            connections: 10_000,
            rate_lookup: RegistryLimits::default().lookups,
            servers: Vec::new(),
            probe: false,
        }
    }
}

/// Where letters lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mailbox {
    /// Mebibytes of memory for what is read often.
    pub cache_mib: u32,
    /// Mebibytes of letters in all mailboxes together.
    pub most_mib: u64,
    /// Letters in all mailboxes together.
    pub most_letters: u64,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { cache_mib: 64, most_mib: 50 * 1024, most_letters: 20_000_000 }
    }
}

/// Figures for the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Where `/metrics` and `/health` are served over HTTP; none: nowhere.
    pub listen: Option<SocketAddr>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is not valid: with the place and the reason.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::file("read", path, source))?;
        Self::parse(&text).map_err(|error| Error::Config(format!("{}: {error}", path.display())))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`Error::Config`] with the reason.
    pub fn parse(text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| Error::Config(error.to_string()))
    }
}

fn any(port: u16) -> Vec<SocketAddr> {
    vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_settings_are_the_defaults() {
        let printed = Config::parse(TEMPLATE).unwrap();
        let roles = [Role::Relay, Role::Rendezvous].into();
        assert_eq!(printed, Config { roles, ..Config::default() });
    }

    #[test]
    fn the_defaults_are_those_of_the_profile() {
        assert_eq!(Relay::default().policy().unwrap(), Policy::default());
    }

    #[test]
    fn refuses_unknown_keys_and_bad_hashes() {
        assert!(Config::parse("[relay]\nlisen = []").is_err());
        let config = Config::parse("[relay]\naccess = \"token\"\ntoken_hashes = [\"ab\"]").unwrap();
        assert!(config.relay.policy().is_err());
    }
}

//! What a person shows to be found: `sremp:1?k=IDENTITY&n=NOISE&e=HOST:PORT&r=HOST:PORT~RELAY`.
//! SREMP 6, profile SR-6a.

use crate::{
    Error,
    crypto::x25519::PublicKey,
    endpoint::Endpoint,
    link::{self, Link, key_text},
};
use std::{fmt, str::FromStr};
use waypost_core::ContactId;

/// Most endpoints of one invitation.
const MAX_ENDPOINTS: usize = 4;
/// Most relays of one invitation.
const MAX_RELAYS: usize = 3;

/// Everything needed to dial somebody for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Who must answer.
    pub identity: ContactId,
    /// The pin for dialling.
    pub noise_key: PublicKey,
    /// Where, best first, at most four.
    pub endpoints: Vec<Endpoint>,
    /// Relays with a mailbox of theirs, at most three.
    pub relays: Vec<InvitedRelay>,
}

/// A relay named in an invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitedRelay {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Who must answer there.
    pub identity: ContactId,
}

impl Invitation {
    /// Reads the text of an invitation. Parameters that are not known are ignored, nothing else is.
    ///
    /// # Errors
    /// Malformed, or over a limit.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let link = Link::parse(text, "sremp:1?")?;
        let invitation = Self {
            identity: ContactId::from_bytes(link.key("k")?),
            noise_key: PublicKey(link.key("n")?),
            endpoints: link.values("e").map(str::parse).collect::<Result<_, _>>()?,
            relays: link.values("r").map(str::parse).collect::<Result<_, _>>()?,
        };
        if invitation.endpoints.len() > MAX_ENDPOINTS || invitation.relays.len() > MAX_RELAYS {
            return Err(Error::Limit("addresses of an invitation"));
        }
        Ok(invitation)
    }
}

impl FromStr for Invitation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sremp:1?k={}&n={}", key_text(self.identity.as_bytes()), key_text(&self.noise_key.0))?;
        for endpoint in &self.endpoints {
            write!(f, "&e={endpoint}")?;
        }
        for relay in &self.relays {
            write!(f, "&r={}~{}", relay.endpoint, key_text(relay.identity.as_bytes()))?;
        }
        Ok(())
    }
}

impl FromStr for InvitedRelay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (endpoint, identity) = text.split_once('~').ok_or(Error::Malformed("a relay without its key"))?;
        Ok(Self { endpoint: endpoint.parse()?, identity: ContactId::from_bytes(link::key(identity)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation() -> Invitation {
        Invitation {
            identity: ContactId::from_bytes([1; 32]),
            noise_key: PublicKey([2; 32]),
            endpoints: ["192.0.2.5:4433", "[2001:db8::5]:4433"].map(|text| text.parse().unwrap()).into(),
            relays: vec![InvitedRelay {
                endpoint: "relay.example:4433".parse().unwrap(),
                identity: ContactId::from_bytes([3; 32]),
            }],
        }
    }

    /// SR-6a
    #[test]
    fn reads_back_the_text_it_shows() {
        let text = invitation().to_string();
        assert_eq!(Invitation::parse(&text), Ok(invitation()));
        assert_eq!(Invitation::parse(&format!("{text}&x=unknown&y=")), Ok(invitation()));
    }

    /// SR-6a
    #[test]
    fn refuses_everything_else() {
        let text = invitation().to_string();
        let key = key_text(&[1; 32]);
        let refused = [
            text.replacen("sremp:1?", "sremp:2?", 1),
            text.replacen("sremp:", "SREMP:", 1),
            text.replacen("k=", "x=", 1),
            text.replacen("n=", "x=", 1),
            format!("{text}&k={key}"),
            format!("{text}&"),
            format!("{text}&x"),
            format!("{text}&=x"),
            format!("{text}&x=%41"),
            format!("{text}&x=a b"),
            format!("{text}&x={}", "y".repeat(1024)),
            format!("{text}&e=a:1&e=b:1&e=c:1"),
            format!("{text}&e=A:1"),
            format!("{text}&r=a:1"),
            format!("{text}&r=a:1~{key}&r=a:1~{key}&r=a:1~{key}"),
            text.replacen(&key, &format!("{key}="), 1),
            // The last character of a key carries two bits that must be zero.
            text.replacen(&key, &format!("{}F", &key[..42]), 1),
            text.replacen(&key, &key.replace('_', "/"), 1).replacen("k=", "k=/", 1),
        ];
        for text in refused {
            assert!(Invitation::parse(&text).is_err(), "{text}");
        }
    }
}

//! How a server is named: `sremp-rdv://host:port[?spki=..]`. SREMP 7, profile Rendezvous framing.

use crate::{Error, endpoint::Endpoint, kdf::sha256, link, message::ServerAddress};
use std::{fmt, str::FromStr};

const SCHEME: &str = "sremp-rdv://";

/// The id of the server whose certificate has this SubjectPublicKeyInfo (DER). It is the pin as well.
/// Profile, Rendezvous framing.
pub fn server_id(subject_public_key_info: &[u8]) -> [u8; 32] {
    sha256(&[subject_public_key_info])
}

/// Where a rendezvous server is, and how it proves that it is the one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerUri {
    /// Where.
    pub endpoint: Endpoint,
    /// Its [`server_id`]: then nothing else of its certificate is looked at. Without it the certificate must
    /// be valid for the host by the usual roots.
    pub pin: Option<[u8; 32]>,
}

impl fmt::Display for ServerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.endpoint)?;
        match &self.pin {
            Some(pin) => write!(f, "?spki={}", link::key_text(pin)),
            None => Ok(()),
        }
    }
}

impl FromStr for ServerUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix(SCHEME).ok_or(Error::Malformed("not an sremp-rdv:// address"))?;
        let (endpoint, pin) = match rest.split_once('?') {
            None => (rest, None),
            // A parameter that is not understood might be one that must hold.
            Some((endpoint, query)) => {
                let pin = query.strip_prefix("spki=").ok_or(Error::Malformed("only spki= may follow the port"))?;
                (endpoint, Some(link::key(pin)?))
            }
        };
        Ok(Self { endpoint: endpoint.parse()?, pin })
    }
}

impl TryFrom<&ServerAddress> for ServerUri {
    type Error = Error;

    /// What one server says of another.
    fn try_from(address: &ServerAddress) -> Result<Self, Error> {
        Ok(Self { endpoint: Endpoint::new(&address.host, address.port)?, pin: address.spki })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_the_uri_it_shows() {
        let pin = "spki=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        for uri in [
            "sremp-rdv://rdv.example:4455".to_owned(),
            format!("sremp-rdv://[2001:db8::5]:1?{pin}"),
            format!("sremp-rdv://192.0.2.1:65535?{pin}"),
        ] {
            assert_eq!(uri.parse::<ServerUri>().map(|parsed| parsed.to_string()), Ok(uri.clone()), "{uri}");
        }
    }

    #[test]
    fn refuses_what_is_not_such_a_uri() {
        for uri in [
            "https://rdv.example:1",
            "sremp-rdv://rdv.example",
            "sremp-rdv://rdv.example:0",
            "sremp-rdv://rdv.example:1/",
            "sremp-rdv://RDV.example:1",
            "sremp-rdv://u@rdv.example:1",
            "sremp-rdv://rdv.example:1?",
            "sremp-rdv://rdv.example:1?spki=",
            "sremp-rdv://rdv.example:1?spki=AAEC",
            "sremp-rdv://rdv.example:1?other=1",
            "sremp-rdv://rdv.example:1?spki=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "sremp-rdv://rdv.example:1?spki=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
            "sremp-rdv://rdv.example:1?spki=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8&x=1",
        ] {
            assert!(uri.parse::<ServerUri>().is_err(), "{uri}");
        }
    }
}

//! Where a broker is. Profile, MQTT.

use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// A broker: `mqtt://`, `mqtts://`, `ws://` or `wss://`, then `[user:password@]host[:port][/path]`.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    pub(super) scheme: Scheme,
    /// As in the URL: an IPv6 address with its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    path: String,
    pub(super) login: Option<(String, Zeroizing<String>)>,
}

/// How a broker is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Mqtt,
    Mqtts,
    Ws,
    Wss,
}

/// A text that names no broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadUrl {
    /// Another protocol.
    #[error("a broker's address begins with mqtt://, mqtts://, ws:// or wss://")]
    Scheme,
    /// No host, or a port that is no number.
    #[error("a broker's address is SCHEME://[USER:PASSWORD@]HOST[:PORT]")]
    Host,
    /// A path, where there can be none.
    #[error("only ws:// and wss:// have a path")]
    Path,
    /// A user without password, or a broken escape.
    #[error("a login is USER:PASSWORD, with escapes like %40 for special characters")]
    Login,
}

impl Scheme {
    const ALL: [(Self, &'static str, u16); 4] =
        [(Self::Mqtt, "mqtt", 1883), (Self::Mqtts, "mqtts", 8883), (Self::Ws, "ws", 80), (Self::Wss, "wss", 443)];

    pub(super) const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

impl FromStr for BrokerUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(BadUrl::Scheme)?;
        let known = Scheme::ALL.into_iter().find(|(_, name, _)| scheme.eq_ignore_ascii_case(name));
        let (scheme, _, default_port) = known.ok_or(BadUrl::Scheme)?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let path = match (scheme.is_websocket(), path) {
            (true, "" | "/") => "/mqtt",
            (true, path) => path,
            (false, "" | "/") => "",
            (false, _) => return Err(BadUrl::Path),
        };
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').ok_or(BadUrl::Login)?;
            Ok((unescape(user)?.to_string(), unescape(password)?))
        });
        // The colons inside an IPv6 address are in its brackets.
        let end_of_host = place.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match place.get(end_of_host..).and_then(|rest| rest.find(':')) {
            Some(at) => place.split_at(end_of_host + at),
            None => (place, ""),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) => digits.parse().map_err(|_| BadUrl::Host)?,
            None => default_port,
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        if host.is_empty() || port == 0 || !host.chars().all(is_host) || path.chars().any(|c| !c.is_ascii_graphic()) {
            return Err(BadUrl::Host);
        }
        Ok(Self { scheme, host: host.to_owned(), port, path: path.to_owned(), login: login.transpose()? })
    }
}

fn unescape(text: &str) -> Result<Zeroizing<String>, BadUrl> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(BadUrl::Login) };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| BadUrl::Login)?);
    }
    std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| BadUrl::Login)
}

/// Without the login.
impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}{}", self.scheme.name(), self.host, self.port, self.path)
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_ports_and_the_path_that_are_left_out() {
        for (text, full) in [
            ("mqtt://broker.example", "mqtt://broker.example:1883"),
            ("MQTTS://broker.example/", "mqtts://broker.example:8883"),
            ("ws://broker.example", "ws://broker.example:80/mqtt"),
            ("wss://broker.example:8443/a/b?c", "wss://broker.example:8443/a/b?c"),
            ("mqtt://[2001:db8::1]:7", "mqtt://[2001:db8::1]:7"),
        ] {
            assert_eq!(text.parse::<BrokerUrl>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn takes_a_login_and_never_shows_it() {
        let url: BrokerUrl = "mqtt://me:p%40ss%3a@host".parse().unwrap();
        assert_eq!(url.login, Some(("me".to_owned(), Zeroizing::new("p@ss:".to_owned()))));
        assert_eq!(format!("{url} {url:?}"), "mqtt://host:1883 BrokerUrl(mqtt://host:1883)");
    }

    #[test]
    fn refuses_what_is_no_broker() {
        for (text, why) in [
            ("http://host", BadUrl::Scheme),
            ("host:1883", BadUrl::Scheme),
            ("mqtt://", BadUrl::Host),
            ("mqtt://host:x", BadUrl::Host),
            ("mqtt://host:0", BadUrl::Host),
            ("mqtt://a b", BadUrl::Host),
            ("mqtt://host/path", BadUrl::Path),
            ("mqtt://me@host", BadUrl::Login),
            ("mqtt://me:%4@host", BadUrl::Login),
        ] {
            assert_eq!(text.parse::<BrokerUrl>(), Err(why), "{text}");
        }
    }
}

//! Which rendezvous servers there are to begin with. SREMP 11.3, profile SR-11.3.
//!
//! In this order: what the user typed, what an invitation named, what is built in, and what the name system
//! says of a domain (`_sremp-rdv._tcp`). The name system is asked nothing when a proxy is used.

use crate::Dialling;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::{Resolver, TokioResolver};
use rand::{CryptoRng, RngExt};
use std::net::SocketAddr;
use std::time::Duration;
use waypost_sremp::endpoint::{Endpoint, Learned};
use waypost_sremp::rendezvous::ServerUri;

/// In front of the domain. Profile SR-11.3.
const SERVICE: &str = "_sremp-rdv._tcp";
/// Records of one domain that are looked at.
const MAX_RECORDS: usize = 16;
/// How long one name server may take for one answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Where a server is known from, the most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The user typed it.
    User,
    /// An invitation that the user accepted named it.
    Invitation,
    /// It came with the program.
    BuiltIn,
    /// The name system said so.
    Dns,
}

impl Source {
    /// What the address filter makes of it.
    pub const fn learned(self) -> Learned {
        match self {
            Self::User | Self::Invitation => Learned::FromUser,
            Self::BuiltIn | Self::Dns => Learned::FromOthers,
        }
    }
}

/// What is known without asking anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What the user typed.
    pub user: Vec<ServerUri>,
    /// What invitations named.
    pub invitations: Vec<ServerUri>,
    /// What came with the program.
    pub built_in: Vec<ServerUri>,
    /// Domains that may know more.
    pub domains: Vec<String>,
}

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvRecord {
    /// Lower ones first.
    pub priority: u16,
    /// Among equals, the share of clients that come here first.
    pub weight: u16,
    /// TCP port.
    pub port: u16,
    /// The host's name, without the dot at its end.
    pub target: String,
}

/// Asks the name system for SRV records.
pub trait SrvLookup {
    /// The records of a name; none if there is no such name or no answer.
    fn srv(&self, name: &str) -> impl Future<Output = Vec<SrvRecord>> + Send;
}

/// All servers there are to begin with, the first to be tried first, none twice.
pub async fn servers(
    known: &Known,
    dialling: &Dialling,
    resolver: &impl SrvLookup,
    rng: &mut impl CryptoRng,
) -> Vec<(Source, ServerUri)> {
    let mut found = Vec::new();
    // A question to the name system would tell others what the proxy hides.
    let domains = if dialling.proxy.is_some() { &[] } else { &known.domains[..] };
    for domain in domains {
        found.extend(in_order(resolver.srv(&format!("{SERVICE}.{domain}.")).await, rng));
    }
    let tiers = [
        (Source::User, &known.user),
        (Source::Invitation, &known.invitations),
        (Source::BuiltIn, &known.built_in),
        (Source::Dns, &found),
    ];
    let mut servers: Vec<(Source, ServerUri)> = Vec::new();
    for (source, tier) in tiers {
        for server in tier {
            if !servers.iter().any(|(_, known)| known.endpoint == server.endpoint) {
                servers.push((source, server.clone()));
            }
        }
    }
    servers
}

/// RFC 2782: by priority, and within one at random by weight. Targets that are no host names are left out.
fn in_order(mut records: Vec<SrvRecord>, rng: &mut impl CryptoRng) -> Vec<ServerUri> {
    records.truncate(MAX_RECORDS);
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::new();
    while let Some(priority) = records.first().map(|record| record.priority) {
        let equals = records.iter().take_while(|record| record.priority == priority);
        let total: u32 = equals.map(|record| u32::from(record.weight)).sum();
        let mut lot = rng.random_range(0..=total);
        let drawn = records.iter().take_while(|record| record.priority == priority).position(|record| {
            let weight = u32::from(record.weight);
            let is_drawn = lot <= weight;
            lot = lot.saturating_sub(weight);
            is_drawn
        });
        let record = records.remove(drawn.unwrap_or(0));
        if let Ok(endpoint) = Endpoint::new(&record.target, record.port) {
            ordered.push(ServerUri { endpoint, pin: None });
        }
    }
    ordered
}

/// The name system itself.
#[derive(Clone, Debug)]
pub struct SrvResolver {
    resolver: Option<TokioResolver>,
}

impl SrvResolver {
    /// Asks whom the system asks; nobody, if that is not known.
    pub fn system() -> Self {
        let builder = Resolver::builder_tokio().inspect_err(|error| tracing::warn!(%error, "no name servers"));
        let resolver = builder.ok().and_then(|mut builder| {
            bound(builder.options_mut());
            builder.build().ok()
        });
        Self { resolver }
    }

    /// Asks this name server, by UDP and, for long answers, TCP.
    pub fn asking(server: SocketAddr) -> Self {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        let server = NameServerConfig::new(server.ip(), true, connections.into());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        bound(builder.options_mut());
        Self { resolver: builder.build().ok() }
    }
}

fn bound(options: &mut ResolverOpts) {
    options.timeout = ANSWER;
    options.attempts = 2;
}

impl SrvLookup for SrvResolver {
    async fn srv(&self, name: &str) -> Vec<SrvRecord> {
        let Some(resolver) = &self.resolver else { return Vec::new() };
        let found = match resolver.srv_lookup(name).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "no SRV records");
                return Vec::new();
            }
        };
        let record = |data: &RData| match data {
            RData::SRV(srv) => Some(SrvRecord {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_lowercase().to_ascii().trim_end_matches('.').to_owned(),
            }),
            _ => None,
        };
        found.answers().iter().filter_map(|answer| record(&answer.data)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};
    use std::sync::Mutex;

    /// A name system that knows one domain and remembers what it was asked.
    #[derive(Default)]
    struct Fake {
        asked: Mutex<Vec<String>>,
        records: Vec<SrvRecord>,
    }

    impl SrvLookup for Fake {
        async fn srv(&self, name: &str) -> Vec<SrvRecord> {
            self.asked.lock().unwrap().push(name.to_owned());
            if name == "_sremp-rdv._tcp.example.org." { self.records.clone() } else { Vec::new() }
        }
    }

    fn uri(text: &str) -> ServerUri {
        format!("sremp-rdv://{text}").parse().unwrap()
    }

    fn srv(priority: u16, weight: u16, target: &str) -> SrvRecord {
        SrvRecord { priority, weight, port: 7, target: target.to_owned() }
    }

    fn known() -> Known {
        Known {
            user: vec![uri("mine.example:1")],
            invitations: vec![uri("invited.example:2"), uri("mine.example:1")],
            built_in: vec![uri("built-in.example:3")],
            domains: vec!["nobody.example".to_owned(), "example.org".to_owned()],
        }
    }

    /// SR-11.3, checklist 24.
    #[tokio::test]
    async fn tries_the_users_then_the_invited_then_the_built_in_then_the_name_systems_servers() {
        let records = vec![srv(2, 0, "second.example"), srv(1, 0, "first.example"), srv(1, 0, "not a host")];
        let fake = Fake { records, ..Fake::default() };
        let found = servers(&known(), &Dialling::default(), &fake, &mut StdRng::seed_from_u64(1)).await;
        let found: Vec<_> = found.iter().map(|(source, server)| (*source, server.endpoint.to_string())).collect();
        let expected = [
            (Source::User, "mine.example:1"),
            (Source::Invitation, "invited.example:2"),
            (Source::BuiltIn, "built-in.example:3"),
            (Source::Dns, "first.example:7"),
            (Source::Dns, "second.example:7"),
        ];
        assert_eq!(found, expected.map(|(source, endpoint)| (source, endpoint.to_owned())));
        assert_eq!(fake.asked.lock().unwrap().len(), 2);
        assert_eq!([Source::User, Source::Dns].map(Source::learned), [Learned::FromUser, Learned::FromOthers]);
    }

    #[tokio::test]
    async fn asks_the_name_system_nothing_when_there_is_a_proxy() {
        let fake = Fake { records: vec![srv(1, 0, "first.example")], ..Fake::default() };
        let dialling = Dialling { proxy: Some("127.0.0.1:9050".parse().unwrap()), ..Dialling::default() };
        let found = servers(&known(), &dialling, &fake, &mut StdRng::seed_from_u64(1)).await;
        assert_eq!(found.len(), 3);
        assert_eq!(*fake.asked.lock().unwrap(), [""; 0]);
    }

    /// RFC 2782
    #[test]
    fn shares_clients_by_weight_within_a_priority() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut first = 0;
        for _ in 0..1000 {
            let ordered =
                in_order(vec![srv(1, 30, "a.example"), srv(1, 10, "b.example"), srv(0, 0, "c.example")], &mut rng);
            let ordered: Vec<_> = ordered.iter().map(|server| server.endpoint.host().to_string()).collect();
            assert_eq!((ordered.len(), ordered[0].as_str()), (3, "c.example"));
            first += usize::from(ordered[1] == "a.example");
        }
        assert!((700..800).contains(&first), "{first}");
        let many = (0..100).map(|n| srv(n, 0, "a.example")).collect();
        assert_eq!(in_order(many, &mut rng).len(), MAX_RECORDS);
    }
}

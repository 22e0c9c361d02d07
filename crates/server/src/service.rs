//! All roles of one process: started together, stopped together.

use crate::config::{Config, Role};
use crate::keys::RelayKeys;
use crate::metrics::{Figures, MetricsServer, StorageFigures};
use crate::relay::Relay;
use crate::rendezvous::Rendezvous;
use crate::seen::Observer;
use crate::{Data, Error};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waypost_core::{ContactId, RelayAddress, SrempAddress};
use waypost_mailbox::{Capacity, Embedded, Mailbox};
use waypost_net::{Clock, tcp};
use waypost_sremp::endpoint::Endpoint;
use waypost_sremp::rendezvous::ServerUri;

/// Between two rounds of removing what is past its time.
const EXPIRE: Duration = Duration::from_secs(60);
/// The same while there is more.
const EXPIRE_AGAIN: Duration = Duration::from_millis(50);
/// Things removed in one round.
const ROUND: usize = 1000;
/// How long the roles may take to end.
const STOP: Duration = Duration::from_secs(10);

/// The running roles of a process.
pub struct Server {
    facts: Facts,
    stop: CancellationToken,
    tasks: TaskTracker,
    mailboxes: Arc<Embedded>,
}

/// What a caller may bring that an operator's settings do not have.
#[derive(Default)]
pub struct Extras {
    /// The relay's keys, instead of those in the folder.
    pub relay_keys: Option<RelayKeys>,
    /// Watches the roles at work.
    pub observer: Option<Observer>,
}

/// What is known once all roles listen.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    /// The relay, if this process is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<RoleFacts>,
    /// The rendezvous server, if this process is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rendezvous: Option<RoleFacts>,
    /// Where metrics are served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
}

/// How a role is reached.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RoleFacts {
    /// Where it listens.
    pub listening: Vec<SocketAddr>,
    /// The address to give to others: for `waypost server add`.
    pub address: String,
}

impl Server {
    /// Starts the roles; returns when all listen.
    ///
    /// # Errors
    /// A setting is wrong, the folder cannot be used or an address is taken; then nothing runs.
    pub async fn start(config: &Config, roles: &BTreeSet<Role>, data: &Data) -> Result<Self, Error> {
        Self::start_with(config, roles, data, Extras::default()).await
    }

    /// The same, with more than the settings say.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        config: &Config,
        roles: &BTreeSet<Role>,
        data: &Data,
        extras: Extras,
    ) -> Result<Self, Error> {
        if roles.is_empty() {
            return Err(Error::Config("no role is given; name one of: relay, rendezvous".into()));
        }
        let mailboxes = Arc::new(Embedded::open(&data.mailboxes(), engine_config(config))?);
        let (figures, shown) = watch::channel(Figures::default());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut facts = Facts::default();
        // Everything that can fail comes before the first role works.
        let relay = match roles.contains(&Role::Relay) {
            true => {
                let now = Clock::start().now().wall;
                let keys = match extras.relay_keys {
                    Some(keys) => keys,
                    None => RelayKeys::load(&data.relay_keys(), &config.relay.name, now, &mut rand::rng())?,
                };
                let mut relay = Relay::start(&config.relay, &keys, mailboxes.clone(), figures.clone()).await?;
                relay.observe(extras.observer.clone());
                facts.relay = Some(relay_facts(config, keys.identity().key(), relay.listening()));
                Some(relay)
            }
            false => None,
        };
        let rendezvous = match roles.contains(&Role::Rendezvous) {
            true => {
                let mut role = Rendezvous::start(&config.rendezvous, data, mailboxes.clone(), figures.clone()).await?;
                role.observe(extras.observer);
                facts.rendezvous = Some(rendezvous_facts(config, role.pin(), role.listening())?);
                Some(role)
            }
            false => None,
        };
        if let Some(address) = config.metrics.listen {
            let metrics = MetricsServer::bind(address, shown).await?;
            facts.metrics = Some(metrics.address()?);
            tasks.spawn(metrics.run(stop.clone()));
        }
        if let Some(relay) = relay {
            tasks.spawn(relay.run(stop.clone()));
        }
        if let Some(rendezvous) = rendezvous {
            tasks.spawn(rendezvous.run(stop.clone()));
        }
        tasks.spawn(keep(mailboxes.clone(), figures, stop.clone()));
        Ok(Self { facts, stop, tasks, mailboxes })
    }

    /// How the roles are reached.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Ends all roles: what they have promised is on disk, what they were asked is answered where that takes
    /// no longer than a moment.
    ///
    /// # Errors
    /// The mailboxes could not be closed cleanly; what was acknowledged is on disk all the same.
    pub async fn stop(self) -> Result<(), Error> {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP, self.tasks.wait()).await.is_err() {
            tracing::warn!("a role does not end; the process ends without it");
        }
        match Arc::try_unwrap(self.mailboxes) {
            Ok(mailboxes) => Ok(mailboxes.close()?),
            Err(_) => Ok(()),
        }
    }
}

/// Removes what is past its time, and counts what is there.
async fn keep(mailboxes: Arc<Embedded>, figures: watch::Sender<Figures>, stop: CancellationToken) {
    let clock = Clock::start();
    let mut rounds = interval(EXPIRE);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = rounds.tick() => {}
        }
        loop {
            match mailboxes.expire(clock.now().wall, ROUND).await {
                Ok(removed) if removed >= ROUND && !stop.is_cancelled() => tokio::time::sleep(EXPIRE_AGAIN).await,
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(%error, "what is past its time cannot be removed");
                    break;
                }
            }
        }
        if let Ok(size) = mailboxes.size().await {
            let disk_used = size.disk.map_or(0.0, |disk| f64::from(disk.used_percent()) / 100.0);
            let storage = StorageFigures { letters: size.items, bytes: size.bytes, disk_used };
            figures.send_modify(|figures| figures.storage = Some(storage));
        }
    }
}

fn engine_config(config: &Config) -> waypost_mailbox::Config {
    let mebibytes = |count: u64| count.saturating_mul(1 << 20);
    waypost_mailbox::Config {
        cache: usize::try_from(mebibytes(config.mailbox.cache_mib.into())).unwrap_or(usize::MAX),
        capacity: Capacity { items: config.mailbox.most_letters, bytes: mebibytes(config.mailbox.most_mib) },
        ..waypost_mailbox::Config::default()
    }
}

fn relay_facts(config: &Config, identity: ContactId, listening: &[SocketAddr]) -> RoleFacts {
    let at = advertised(config, listening);
    let address = format!("sremp-relay://{}", RelayAddress { at, identity });
    RoleFacts { listening: listening.to_vec(), address }
}

fn rendezvous_facts(config: &Config, pin: Option<[u8; 32]>, listening: &[SocketAddr]) -> Result<RoleFacts, Error> {
    let at = advertised(config, listening);
    let bad = |_| Error::Config(format!("advertise: \"{}\" is no host name", at.host));
    let endpoint = Endpoint::new(&at.host, at.port).map_err(bad)?;
    Ok(RoleFacts { listening: listening.to_vec(), address: ServerUri { endpoint, pin }.to_string() })
}

/// The host and port for others: as the operator says, else where the first listener is, with the machine's own
/// address for "any".
fn advertised(config: &Config, listening: &[SocketAddr]) -> SrempAddress {
    let first = listening.first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let host = match config.advertise.as_str() {
        "" => tcp::reached_at(first.ip()).unwrap_or(first.ip()).to_string(),
        host => host.to_ascii_lowercase(),
    };
    SrempAddress { host, port: first.port() }
}

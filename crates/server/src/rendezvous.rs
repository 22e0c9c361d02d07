//! The rendezvous server: TLS connections, the registry that decides, and the records behind it.

use crate::metrics::Figures;
use crate::seen::{Observer, Seen, tell};
use crate::storage::{Done, Storage};
use crate::{Data, Error, config};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use waypost_mailbox::Mailbox;
use waypost_net::Clock;
use waypost_net::dial::Dialling;
use waypost_net::limits::ConnectionLimits;
use waypost_net::rendezvous::{RendezvousServer, ServerCommand, ServerConfig, ServerEvent, ServerLimits, ServerTiming};
use waypost_net::tls::ServerTls;
use waypost_sremp::endpoint::Endpoint;
use waypost_sremp::message::ServerAddress;
use waypost_sremp::rendezvous::{
    Input, Output, ProbeId, Registry, RegistryLimits, RegistryPolicy, RegistryTiming, ServerUri,
};

/// News of connections that may wait; sockets beyond are not read.
const NEWS: usize = 4096;
/// News taken at once, between two looks at storage.
const ROUND: usize = 256;
/// How long an endpoint may take to show that it is there.
const PROBE: Duration = Duration::from_secs(5);
/// Probes under way at once; a registration beyond is refused as not reachable.
const PROBES: usize = 256;

/// A rendezvous server at work.
pub(crate) struct Rendezvous<M> {
    registry: Registry,
    server: RendezvousServer,
    id: [u8; 32],
    is_pinned: bool,
    news: mpsc::Receiver<ServerEvent>,
    storage: Storage<M>,
    probes: FuturesUnordered<BoxFuture<'static, (ProbeId, bool)>>,
    clock: Clock,
    figures: watch::Sender<Figures>,
    observer: Option<Observer>,
}

impl<M: Mailbox> Rendezvous<M> {
    /// Listens, with the operator's certificate or one of its own.
    pub(crate) async fn start(
        config: &config::Rendezvous,
        data: &Data,
        mailbox: Arc<M>,
        figures: watch::Sender<Figures>,
    ) -> Result<Self, Error> {
        let is_pinned = config.certificate == Path::new("");
        let tls = match is_pinned {
            true => ServerTls::self_signed(&data.tls())?,
            false => ServerTls::from_pem_files(&config.certificate, &config.key)?,
        };
        let id = tls.id();
        let connections = ConnectionLimits {
            per_host: config.connections_per_host,
            strangers: config.connections,
            ..ServerLimits::default().connections
        };
        let limits = ServerLimits { connections, ..ServerLimits::default() };
        let (news_out, news) = mpsc::channel(NEWS);
        let server_config =
            ServerConfig { listen: config.listen.clone(), tls, limits, timing: ServerTiming::default() };
        let server = RendezvousServer::start(server_config, news_out).await?;
        let servers = config.servers.iter().map(|text| suggestion(text)).collect::<Result<_, _>>()?;
        let policy = RegistryPolicy { servers, dials_back: config.probe };
        let limits = RegistryLimits {
            connections: config.connections,
            lookups: config.rate_lookup,
            ..RegistryLimits::default()
        };
        Ok(Self {
            registry: Registry::new(id, policy, limits, RegistryTiming::default()),
            server,
            id,
            is_pinned,
            news,
            storage: Storage::new(mailbox),
            probes: FuturesUnordered::new(),
            clock: Clock::start(),
            figures,
            observer: None,
        })
    }

    /// Tells an observer from now on.
    pub(crate) fn observe(&mut self, observer: Option<Observer>) {
        self.observer = observer;
    }

    /// Where it listens.
    pub(crate) fn listening(&self) -> &[SocketAddr] {
        self.server.listening()
    }

    /// What clients pin; none if the certificate stands for itself.
    pub(crate) fn pin(&self) -> Option<[u8; 32]> {
        self.is_pinned.then_some(self.id)
    }

    /// Works until it is stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut news = Vec::new();
        // Figures are there before the first client is.
        self.figures.send_modify(|figures| figures.rendezvous = Some(self.registry.counts().clone()));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = self.news.recv_many(&mut news, ROUND) => {}
                done = self.storage.next() => self.done(done),
                Some((probe, is_there)) = self.probes.next(), if !self.probes.is_empty() => {
                    self.handle(Input::Probed { probe, is_there });
                }
            }
            for event in news.drain(..) {
                self.event(event);
            }
            while let Some(done) = self.storage.ready() {
                self.done(done);
            }
            self.figures.send_modify(|figures| figures.rendezvous = Some(self.registry.counts().clone()));
        }
        // What was asked is answered before the connections close.
        while !self.storage.is_idle() {
            let done = self.storage.next().await;
            self.done(done);
        }
        self.server.stop().await;
    }

    fn event(&mut self, event: ServerEvent) {
        match &event {
            ServerEvent::Opened { link, address } => self.tell(Seen::Opened { link: *link, address: *address }),
            ServerEvent::Message { link, message } => self.tell(Seen::Received(*link, message)),
            ServerEvent::Closed { link } => self.tell(Seen::Closed(*link)),
            _ => {}
        }
        match event {
            ServerEvent::Opened { link, address } => self.handle(Input::Connected { link, address }),
            ServerEvent::Message { link, message } => self.handle(Input::Message { link, message }),
            ServerEvent::Fault { link, error } => self.handle(Input::Fault { link, error }),
            ServerEvent::Closed { link } => self.handle(Input::Disconnected(link)),
            _ => {}
        }
    }

    fn tell(&self, seen: Seen<'_>) {
        tell(self.observer.as_ref(), seen);
    }

    fn done(&mut self, (id, answers): Done) {
        self.handle(match answers {
            Some(answers) => Input::Mailbox(id, answers),
            None => Input::MailboxFault(id),
        });
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        self.registry.handle(now, input);
        while let Some(output) = self.registry.poll() {
            match output {
                Output::Mailbox(id, batch) => self.storage.begin(id, now.wall, batch),
                Output::Probe { probe, endpoint } => self.probe(probe, endpoint),
                Output::Send(link, message) => {
                    self.tell(Seen::Sent(link, &message));
                    self.server.command(ServerCommand::Send(link, message));
                }
                Output::Close(link, error) => {
                    self.tell(Seen::Sent(link, &error.clone().into()));
                    self.server.command(ServerCommand::Close(link, Some(error)));
                }
            }
        }
    }

    fn probe(&mut self, probe: ProbeId, endpoint: Endpoint) {
        let is_free = self.probes.len() < PROBES;
        self.probes
            .push(Box::pin(async move { (probe, is_free && Dialling::default().probe(&endpoint, PROBE).await) }));
    }
}

/// A server to be named to clients.
fn suggestion(text: &str) -> Result<ServerAddress, Error> {
    let bad = |_| Error::Config(format!("rendezvous.servers: \"{text}\" is no sremp-rdv://host:port address"));
    let uri: ServerUri = text.parse().map_err(bad)?;
    let host = uri.endpoint.host().to_string();
    Ok(ServerAddress { host, port: uri.endpoint.port(), name: None, spki: uri.pin })
}

//! Two people and a rendezvous server: machines, drivers, TLS, all of it.

use super::node::keys;
use super::servers::{Authority, PATIENCE, Server};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use waypost_core::{ContactId, MemoryRecords};
use waypost_net::Clock;
use waypost_net::rendezvous::{ClientCommand, ClientConfig, ClientEvent, RendezvousClient};
use waypost_sremp::ed25519::SigningKey;
use waypost_sremp::endpoint::Learned;
use waypost_sremp::rendezvous::client::{Answer, ClientTiming, Event, Failure, Input, Output, Publication, Query};
use waypost_sremp::rendezvous::{Client, ServerUri};
use waypost_sremp::{Identity, LinkId};

/// Somebody with a client machine and what it needs.
struct Person {
    seed: u8,
    server: ServerUri,
    machine: Client,
    records: MemoryRecords,
    driver: RendezvousClient,
    news: mpsc::Receiver<ClientEvent>,
    clock: Clock,
    rng: StdRng,
    link: u64,
}

impl Person {
    fn new(seed: u8, server: ServerUri, config: ClientConfig) -> Self {
        let (sender, news) = mpsc::channel(4);
        Self {
            seed,
            server,
            machine: Client::new(ClientTiming::default()),
            records: MemoryRecords::default(),
            driver: RendezvousClient::start(config, sender),
            news,
            clock: Clock::start(),
            rng: StdRng::seed_from_u64(seed.into()),
            link: 0,
        }
    }

    fn identity(&self) -> Identity {
        keys(self.seed).identity().clone()
    }

    fn input(&mut self, input: Input<'_>) {
        self.machine.handle(self.clock.now(), &mut self.rng, &self.records, input).unwrap();
    }

    /// Runs until there is an event.
    async fn event(&mut self) -> Event {
        timeout(PATIENCE, self.run()).await.expect("no event in time")
    }

    async fn run(&mut self) -> Event {
        loop {
            while let Some(output) = self.machine.poll() {
                match output {
                    Output::Connect => {
                        self.link += 1;
                        let (link, server) = (LinkId(self.link), self.server.clone());
                        self.driver.command(ClientCommand::Open { link, server, learned: Learned::FromUser });
                    }
                    Output::Send(bytes) => self.driver.command(ClientCommand::Send(LinkId(self.link), bytes)),
                    Output::Close => self.driver.command(ClientCommand::Close(LinkId(self.link))),
                    Output::Save(id, changes) => {
                        self.records.apply(changes);
                        self.input(Input::Saved(id));
                    }
                    Output::Event(event) => return event,
                }
            }
            let due = self.machine.poll_timeout().map(|at| self.clock.instant(at));
            tokio::select! {
                news = self.news.recv() => match news.unwrap() {
                    ClientEvent::Opened { server_id, .. } => self.input(Input::Connected { server_id }),
                    ClientEvent::Received { bytes, .. } => self.input(Input::Bytes(&bytes)),
                    ClientEvent::Closed { .. } => self.input(Input::Closed),
                    other => panic!("{other:?}"),
                },
                () = sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {
                    self.input(Input::Tick);
                }
            }
        }
    }

    fn publish(&mut self, endpoint: &str) {
        let publication = Publication {
            identity: self.identity(),
            signing: SigningKey::from_bytes(&[self.seed; 32]),
            endpoint: endpoint.parse().unwrap(),
            ttl_seconds: 600,
        };
        self.input(Input::Publish(Box::new(publication)));
    }

    async fn find(&mut self, target: ContactId) -> Result<Option<String>, Failure> {
        self.input(Input::Ask { ticket: 1, query: Query::Peer(target) });
        loop {
            match self.event().await {
                Event::Answer { ticket: 1, answer: Ok(Answer::Peer(found)) } => {
                    return Ok(found.map(|found| found.peer.endpoint.to_string()));
                }
                Event::Answer { answer: Err(failure), .. } => return Err(failure),
                Event::Offline { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// SR-2.1, SR-6b, SR-7.1a
#[tokio::test]
async fn somebody_registers_is_found_and_leaves() {
    let authority = Authority::new();
    let server = Server::start(authority.server(&["localhost"])).await;
    let config = ClientConfig { tls: authority.client(), ..ClientConfig::default() };
    let mut alice = Person::new(1, server.pinned(), config.clone());
    let mut bob = Person::new(2, server.named("localhost"), config);
    let id = alice.identity().key();
    assert_eq!(bob.find(id).await, Ok(None));
    alice.publish("192.0.2.7:4433");
    assert!(matches!(alice.event().await, Event::Registered { .. }));
    assert_eq!(bob.find(id).await.unwrap().as_deref(), Some("192.0.2.7:4433"));
    alice.input(Input::Withdraw);
    assert_eq!(alice.event().await, Event::Left { confirmed: true });
    assert_eq!(bob.find(id).await, Ok(None));
    drop(server);
    assert_eq!(bob.find(id).await, Err(Failure::Unreachable));
}

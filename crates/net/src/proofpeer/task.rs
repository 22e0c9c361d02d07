//! The task that owns the machine.

use super::broker::{self, Load, News, What};
use super::mqtt::{Client, Options, QUEUE};
use super::{Config, Counters, Delivery, Event, Fingerprint, PeerInfo, To, Value, tls};
use crate::{Clock, Error};
use rand::RngExt;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use waypost_proofpeer::{
    AppId, Broker, ChannelKey, ChannelName, Crypto, Event as PeerEvent, Input, Output, Peer, Topic,
};

/// News from brokers that wait.
const NEWS: usize = 1024;
/// Events that commands brought about while the application takes none.
const BACKLOG: usize = 16_384;
/// Random characters of a client id. Profile, MQTT.
const CLIENT_ID: usize = 18;
/// How long brokers may take for what was said last.
const FAREWELL: Duration = Duration::from_secs(2);

type Reply<T> = oneshot::Sender<T>;

/// What the application wants.
pub(super) enum Command {
    Join { channel: ChannelName, key: Option<ChannelKey>, reply: Reply<Result<(), Error>> },
    Leave { channel: ChannelName, reply: Reply<Result<(), Error>> },
    Broadcast { channel: ChannelName, data: Value, reliable: bool, reply: Reply<Result<(), Error>> },
    Send { id: u64, to: To, bytes: Vec<u8>, reliable: bool, reply: Reply<Result<(), Error>> },
    Peers(Reply<Vec<PeerInfo>>),
    Counters(Reply<Counters>),
    Pin { peer: Fingerprint, pinned: bool, reply: Reply<bool> },
    Block { peer: Fingerprint, blocked: bool, reply: Reply<bool> },
    Shutdown(Reply<()>),
}

/// Deliveries that the application has taken or stored: no more than there were events.
#[derive(Default)]
pub(super) struct Acknowledged {
    numbers: Mutex<Vec<u64>>,
    more: Notify,
}

impl Acknowledged {
    pub(super) fn add(&self, number: u64) {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        self.more.notify_one();
    }

    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut self.numbers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct Task {
    machine: Peer,
    clock: Clock,
    brokers: Vec<Link>,
    news: mpsc::Receiver<News>,
    /// A broker took something.
    drained: Arc<Notify>,
    events: mpsc::Sender<Event>,
    /// Events that found no room.
    backlog: VecDeque<Event>,
    show_dropped: bool,
    channels: BTreeMap<u32, String>,
    lost: u64,
}

/// A broker, by its place in the list.
struct Link {
    name: String,
    live: Option<Live>,
    /// It ended after a goodbye.
    gone: bool,
}

/// A connection that stands.
struct Live {
    client: Client,
    load: Arc<Load>,
    max_packet: Option<usize>,
    best_effort: bool,
    /// Subscriptions that have not left yet, in order.
    asked: VecDeque<Topic>,
    /// Those that have.
    waiting: HashMap<u16, Topic>,
}

impl Task {
    pub(super) fn new(
        config: Config,
        app: AppId,
        events: mpsc::Sender<Event>,
        stop: &CancellationToken,
    ) -> Result<Self, Error> {
        let tls = tls::client(config.ca.as_deref())?;
        let drained = Arc::new(Notify::new());
        let (sender, news) = mpsc::channel(NEWS);
        let mut brokers = Vec::new();
        for (number, url) in (0..).zip(config.brokers) {
            brokers.push(Link { name: url.to_string(), live: None, gone: false });
            let options = Options {
                url,
                client_id: client_id(),
                version: config.mqtt,
                tls: Arc::clone(&tls),
                envelope: config.settings.limits.envelope,
            };
            tokio::spawn(broker::run(number, options, sender.clone(), Arc::clone(&drained), stop.clone()));
        }
        let machine = Peer::new(&mut rand::rng(), config.identity, app, Crypto::native(), config.settings);
        Ok(Self {
            machine,
            clock: Clock::start(),
            brokers,
            news,
            drained,
            events,
            backlog: VecDeque::new(),
            show_dropped: config.show_dropped,
            channels: BTreeMap::new(),
            lost: 0,
        })
    }

    /// Until it is told to end, or nobody is there to tell it.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        acknowledged: Arc<Acknowledged>,
        stop: CancellationToken,
    ) {
        let (drained, events) = (Arc::clone(&self.drained), self.events.clone());
        loop {
            self.pass_on();
            let due = self.machine.poll_timeout().map(|due| self.clock.instant(due));
            let stuck = !self.backlog.is_empty();
            // While events wait, brokers are not read; waiting for them to take more could then last for ever.
            let congested = self.is_congested() && !stuck;
            tokio::select! {
                () = stop.cancelled() => return,
                () = acknowledged.more.notified() => self.delivered(&acknowledged),
                Some(news) = self.news.recv(), if !stuck => self.told(news),
                _room = events.reserve(), if stuck => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.input(Input::Tick).unwrap_or_default();
                }
                () = drained.notified(), if congested => {}
                command = commands.recv(), if !congested => match command {
                    Some(Command::Shutdown(reply)) => {
                        self.delivered(&acknowledged);
                        self.farewell().await;
                        stop.cancel();
                        let _ = reply.send(());
                        return;
                    }
                    Some(command) => self.command(command),
                    None => return,
                },
            }
        }
    }

    fn delivered(&mut self, acknowledged: &Acknowledged) {
        for number in acknowledged.take() {
            let _ = self.input(Input::Delivered(number));
        }
    }

    /// Says goodbye, and waits until it has left.
    async fn farewell(&mut self) {
        let _ = self.input(Input::Shutdown);
        for link in &mut self.brokers {
            link.gone |= link.live.as_ref().is_none_or(|live| live.client.disconnect().is_err());
        }
        let all_gone = async {
            while self.brokers.iter().any(|link| !link.gone) {
                let Some(News { broker, what }) = self.news.recv().await else { return };
                if let (Some(link), What::Gone | What::Down { .. }) = (self.brokers.get_mut(place(broker)), what) {
                    link.gone = true;
                }
            }
        };
        let _ = timeout(FAREWELL, all_gone).await;
    }

    fn input(&mut self, input: Input<'_>) -> Result<(), Error> {
        let done = self.machine.handle(self.clock.now(), &mut rand::rng(), input);
        while let Some(output) = self.machine.poll() {
            self.output(output);
        }
        Ok(done?)
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Subscribe { broker, topic } => {
                if let Some(live) = self.live(broker.0)
                    && live.client.subscribe(topic.to_string()).is_ok()
                {
                    live.load.add();
                    live.asked.push_back(topic);
                }
            }
            Output::Unsubscribe { topic } => {
                for live in self.brokers.iter().filter_map(|link| link.live.as_ref()) {
                    if live.client.unsubscribe(topic.to_string()).is_ok() {
                        live.load.add();
                    }
                }
            }
            Output::Publish { broker, topic, payload, reliable } => {
                let only = broker.map(|broker| place(broker.0));
                for (number, link) in self.brokers.iter().enumerate() {
                    let Some(live) = link.live.as_ref().filter(|_| only.is_none_or(|only| only == number)) else {
                        continue;
                    };
                    match live.publish(topic, &payload, reliable) {
                        Ok(()) => live.load.add(),
                        Err(()) => self.lost += 1,
                    }
                }
            }
            Output::Event(event) => self.event(event),
        }
    }

    fn live(&mut self, broker: u32) -> Option<&mut Live> {
        self.brokers.get_mut(place(broker))?.live.as_mut()
    }

    fn told(&mut self, News { broker, what }: News) {
        let number = Broker(broker);
        let Some(link) = self.brokers.get_mut(place(broker)) else { return };
        let name = link.name.clone();
        match what {
            What::Up { client, load, max_packet, best_effort } => {
                let (asked, waiting) = (VecDeque::new(), HashMap::new());
                link.live = Some(Live { client, load, max_packet, best_effort, asked, waiting });
                self.backlog.push_back(Event::Connected { broker: name });
                let _ = self.input(Input::Connected { broker: number, max_packet });
            }
            What::Subscribing(packet) => {
                if let Some(live) = &mut link.live
                    && let Some(topic) = live.asked.pop_front()
                {
                    live.waiting.insert(packet, topic);
                }
            }
            What::Subscribed { packet, granted } => {
                let topic = link.live.as_mut().and_then(|live| live.waiting.remove(&packet));
                match topic {
                    Some(topic) if granted => {
                        self.backlog.push_back(Event::Subscribed { broker: name, topic });
                        let _ = self.input(Input::Subscribed { broker: number, topic });
                    }
                    Some(topic) => {
                        tracing::warn!(broker = %name, %topic, "a broker refuses a subscription");
                        self.backlog.push_back(Event::Refused { broker: name, topic });
                    }
                    None => {}
                }
            }
            What::Message { topic, payload, retain } => {
                // What is no UTF-8 is no topic of ours.
                let topic = String::from_utf8_lossy(&topic);
                let _ = self.input(Input::Received { topic: &topic, payload: &payload, retain });
            }
            What::Down { reason } => {
                let stood = link.live.take().is_some();
                self.backlog.push_back(Event::Disconnected { broker: name, reason });
                if stood {
                    let _ = self.input(Input::Disconnected { broker: number });
                }
            }
            What::Gone => link.gone = true,
        }
    }

    fn command(&mut self, command: Command) {
        let busy = self.backlog.len() >= BACKLOG;
        let free = || if busy { Err(Error::Busy) } else { Ok(()) };
        // Whoever asked may be gone; what was asked is done all the same.
        match command {
            Command::Join { channel, key, reply } => {
                self.channels.insert(channel.hash(), channel.as_str().to_owned());
                let _ = reply.send(free().and_then(|()| self.input(Input::Join { channel, key })));
            }
            Command::Leave { channel, reply } => {
                let left = free().and_then(|()| self.input(Input::Leave { channel: &channel }));
                if left.is_ok() {
                    self.channels.remove(&channel.hash());
                }
                let _ = reply.send(left);
            }
            Command::Broadcast { channel, data, reliable, reply } => {
                let input = Input::Broadcast { channel: &channel, data: &data, reliable };
                let _ = reply.send(free().and_then(|()| self.input(input)));
            }
            Command::Send { id, to, bytes, reliable, reply } => {
                let sent = free().and_then(|()| {
                    let to = self.find(to)?;
                    self.input(Input::Send { id, to, bytes, reliable })
                });
                let _ = reply.send(sent);
            }
            Command::Peers(reply) => {
                let _ = reply.send(self.peers());
            }
            Command::Counters(reply) => {
                let brokers = self.brokers.iter().map(|link| (link.name.clone(), link.live.is_some())).collect();
                let dropped = self.machine.dropped().clone();
                let _ = reply.send(Counters { dropped, lost: self.lost, brokers });
            }
            Command::Pin { peer, pinned, reply } => {
                let _ = reply.send(self.machine.book_mut().set_pinned(&peer, pinned));
            }
            Command::Block { peer, blocked, reply } => {
                let _ = reply.send(self.machine.book_mut().set_blocked(&peer, blocked));
            }
            Command::Shutdown(_) => {}
        }
    }

    fn find(&self, to: To) -> Result<Fingerprint, Error> {
        use waypost_proofpeer::Error as Wrong;
        match to {
            To::Peer(peer) => Ok(peer),
            To::Uid(uid) => match self.machine.book().of_uid(uid) {
                [] => Err(Wrong::UnknownPeer.into()),
                [peer] => Ok(*peer),
                _ => Err(Wrong::AmbiguousPeer.into()),
            },
        }
    }

    fn peers(&self) -> Vec<PeerInfo> {
        let info = |peer: &waypost_proofpeer::KnownPeer| {
            let fingerprint = peer.key().fingerprint();
            PeerInfo {
                fingerprint,
                uid: peer.uid(),
                online: self.machine.is_online(&fingerprint),
                pinned: peer.is_pinned(),
                blocked: peer.is_blocked(),
                locked: peer.is_locked(),
                caps: peer.caps().to_vec(),
            }
        };
        self.machine.book().all().map(info).collect()
    }

    fn event(&mut self, event: PeerEvent) {
        self.backlog.push_back(match event {
            PeerEvent::Deliver { delivery, origin, value, bytes } => Event::Deliver(Delivery {
                delivery,
                from: origin.peer,
                uid: origin.uid,
                channel: origin.channel.and_then(|hash| self.channels.get(&hash).cloned()),
                value,
                bytes,
                t: origin.t,
                reliable: origin.reliable,
                auth: origin.auth,
                encrypted: origin.encrypted,
            }),
            PeerEvent::Presence(change) => Event::Presence(change),
            PeerEvent::PeerChanged(peer) => Event::PeerChanged(peer),
            PeerEvent::SessionOpened { peer, sid, role, auth } => Event::SessionOpened { peer, sid, role, auth },
            PeerEvent::SessionClosed { peer, sid, reason } => Event::SessionClosed { peer, sid, reason },
            PeerEvent::Status { id, status } => Event::Status { id, status },
            PeerEvent::Dropped(drop) if self.show_dropped => Event::Dropped(drop),
            PeerEvent::Dropped(_) => return,
        });
    }

    /// Gives the application what finds room.
    fn pass_on(&mut self) {
        while let Some(event) = self.backlog.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => return self.backlog.push_front(event),
                // Nobody reads them any more.
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        }
    }

    /// Every broker that is connected has much to do already.
    fn is_congested(&self) -> bool {
        let mut live = self.brokers.iter().filter_map(|link| link.live.as_ref()).peekable();
        live.peek().is_some() && live.all(|live| live.load.waiting() >= QUEUE / 2)
    }
}

impl Live {
    fn publish(&self, topic: Topic, payload: &[u8], reliable: bool) -> Result<(), ()> {
        let fits = |most| topic.to_string().len() + payload.len() + PACKET <= most;
        if !self.max_packet.is_none_or(fits) {
            return Err(());
        }
        let qos_1 = reliable && !self.best_effort;
        self.client.publish(topic.to_string(), payload.to_vec(), qos_1).map_err(|_| ())
    }
}

/// A packet has at most this beside the topic and the payload: a header, two lengths, a number, no properties.
const PACKET: usize = 10;

fn place(broker: u32) -> usize {
    usize::try_from(broker).unwrap_or(usize::MAX)
}

/// `pp` and random characters.
fn client_id() -> String {
    const SET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rng = rand::rng();
    let mut random = || SET.get(rng.random_range(0..SET.len())).copied().map_or('0', char::from);
    ["pp".to_owned(), (0..CLIENT_ID).map(|_| random()).collect()].concat()
}

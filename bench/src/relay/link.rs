//! A client's connection to the relay: the pure machine and a socket.

use anyhow::{Context, Result, anyhow, bail};
use rand::{SeedableRng, rngs::StdRng};
use std::{net::SocketAddr, sync::Arc};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use waypost_core::{ContactId, Wall};
use waypost_net::Clock;
use waypost_sremp::{
    Connection, IdentityDraft, Message,
    connection::{ConnectionKeys, Dialled, Event, Input, Limits, Output, Timing, Verdict},
    ed25519::SigningKey,
    message::{RelayCapabilities, RelayRegister},
    relay::{Role, auth_content},
    x25519::Secret,
};

/// Bytes of one read.
const READ: usize = 16 << 10;

/// A client's keys.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) signing: Arc<SigningKey>,
    pub(super) keys: Arc<ConnectionKeys>,
}

impl Person {
    pub(super) fn new(rng: &mut StdRng) -> Result<Self> {
        let (signing, noise, ratchet) = (SigningKey::generate(rng), Secret::generate(rng), Secret::generate(rng));
        let identity = IdentityDraft::new("bench", noise.public(), ratchet.public(), 1, Wall::default());
        let identity = identity.sign(&signing).map_err(error)?;
        let keys = ConnectionKeys::new(noise, identity).map_err(error)?;
        Ok(Self { signing: Arc::new(signing), keys: Arc::new(keys) })
    }

    pub(super) fn id(&self) -> ContactId {
        self.keys.identity().key()
    }
}

/// Where the relay is, and who.
#[derive(Clone, Copy)]
pub(super) struct RelayAt {
    pub(super) address: SocketAddr,
    pub(super) identity: ContactId,
}

/// A connection to the relay.
pub(super) struct RelayLink {
    stream: TcpStream,
    machine: Connection,
    rng: StdRng,
    clock: Clock,
    unsent: Vec<u8>,
    hash: [u8; 32],
    pub(super) relay: ContactId,
}

impl RelayLink {
    /// Connects; returns when messages can be sent.
    pub(super) async fn connect(relay: RelayAt, person: &Person) -> Result<Self> {
        let stream = TcpStream::connect(relay.address).await?;
        stream.set_nodelay(true)?;
        let (mut rng, clock) = (StdRng::from_rng(&mut rand::rng()), Clock::start());
        let dialled = Dialled { identity: Some(relay.identity), pin: None };
        let (limits, timing) = (Limits::default(), Timing::default());
        let machine = Connection::dial(clock.now(), &mut rng, person.keys.clone(), dialled, limits, timing);
        let mut link = Self {
            stream,
            machine: machine.map_err(error)?,
            rng,
            clock,
            unsent: Vec::new(),
            hash: [0; 32],
            relay: relay.identity,
        };
        link.turn(None, &mut Vec::new())?;
        while link.hash == [0; 32] {
            link.flush().await?;
            link.read(&mut Vec::new()).await?;
        }
        Ok(link)
    }

    /// Becomes a client with a mailbox; with `push`, new messages come unasked.
    pub(super) async fn register(&mut self, person: &Person, push: bool) -> Result<()> {
        let content = auth_content(&self.hash, &self.relay, &person.id(), Role::Register);
        let capabilities = RelayCapabilities { max_message_size: 65536, max_storage_duration: 2_592_000 };
        self.send(
            RelayRegister {
                identity: person.id(),
                auth_signature: person.signing.sign(&content),
                capabilities,
                mailbox: None,
                push: Some(push),
                token: None,
            }
            .into(),
        )?;
        self.flush().await?;
        match self.next().await? {
            Message::RelayRegistered(_) => Ok(()),
            other => bail!("not registered: {other:?}"),
        }
    }

    /// Names this connection in signatures.
    pub(super) const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Queues a message.
    pub(super) fn send(&mut self, message: Message) -> Result<()> {
        self.turn(Some(Input::Send(message)), &mut Vec::new())
    }

    /// Writes what is queued.
    pub(super) async fn flush(&mut self) -> Result<()> {
        if !self.unsent.is_empty() {
            self.stream.write_all(&self.unsent).await?;
            self.unsent.clear();
        }
        Ok(())
    }

    /// Reads once; messages that became complete are put into `messages`.
    pub(super) async fn read(&mut self, messages: &mut Vec<Message>) -> Result<()> {
        self.stream.readable().await?;
        self.take(messages)?;
        self.flush().await
    }

    /// What is there already. The buffer is here and not in the future: ten thousand of those wait.
    fn take(&mut self, messages: &mut Vec<Message>) -> Result<()> {
        let mut buffer = [0; READ];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => bail!("the relay closed the connection"),
            Ok(count) => self.turn(Some(Input::Bytes(buffer.get(..count).unwrap_or_default())), messages),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next message, when it comes alone.
    pub(super) async fn next(&mut self) -> Result<Message> {
        let mut messages = Vec::new();
        while messages.is_empty() {
            self.read(&mut messages).await?;
        }
        messages.pop().context("no message")
    }

    /// The rest of the connection's life: answers its questions, tells nobody of messages.
    pub(super) async fn idle(mut self) -> Result<()> {
        loop {
            self.read(&mut Vec::new()).await?;
        }
    }

    fn turn(&mut self, input: Option<Input<'_>>, messages: &mut Vec<Message>) -> Result<()> {
        if let Some(input) = input {
            self.machine.handle(self.clock.now(), &mut self.rng, input).map_err(error)?;
        }
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Send(bytes) => self.unsent.extend_from_slice(&bytes),
                Output::Event(Event::Identified(_)) => {
                    let verdict = Input::Judged(Verdict::Accept { known: true });
                    self.machine.handle(self.clock.now(), &mut self.rng, verdict).map_err(error)?;
                }
                Output::Event(Event::Ready { handshake_hash, .. }) => self.hash = handshake_hash,
                Output::Event(Event::Message(message)) => messages.push(message),
                Output::Event(Event::Closed(closed)) => bail!("the relay closed the connection: {closed:?}"),
                Output::Close => bail!("the connection is closed"),
            }
        }
        Ok(())
    }
}

fn error(error: waypost_sremp::Error) -> anyhow::Error {
    anyhow!("a client of the relay: {error}")
}

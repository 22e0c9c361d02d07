//! A client of a relay that does everything by hand, so that it can do everything wrong.

use crate::servers::Running;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use waypost_core::{ContactId, Wall};
use waypost_sremp::ed25519::{Signature, SigningKey};
use waypost_sremp::frame::{FrameReader, MAX_FRAME};
use waypost_sremp::message::{
    MessageBatch, Ping, Pong, RelayCapabilities, RelayRegister, RelayRegistered, RetrieveMessages, StoreMessage,
    StoreResponse,
};
use waypost_sremp::noise::{Initiator, MSG2_LEN, NoiseKeys, Transport};
use waypost_sremp::relay::{Role, auth_content};
use waypost_sremp::version::{HEADER_LEN, OWN_HEADER};
use waypost_sremp::x25519::Secret;
use waypost_sremp::{ErrorCode, Identity, IdentityDraft, Message};

/// A missing answer is a failure, a slow machine is not.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The identity key of somebody.
pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn id(seed: u8) -> ContactId {
    key(seed).public()
}

fn noise(seed: u8) -> Secret {
    Secret::from_bytes([seed ^ 0x55; 32])
}

pub(crate) fn identity(seed: u8) -> Identity {
    let dr = Secret::from_bytes([seed ^ 0xaa; 32]).public();
    let draft = IdentityDraft::new("somebody", noise(seed).public(), dr, 1, Wall::from_millis(1));
    draft.sign(&key(seed)).unwrap()
}

/// A connection to a relay behind the exchange of identities.
pub(crate) struct Client {
    stream: TcpStream,
    seed: u8,
    relay: ContactId,
    transport: Transport,
    frames: FrameReader,
    input: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(seed: u8, server: &Running) -> Self {
        Self::connect_from(seed, Ipv4Addr::LOCALHOST, server).await.unwrap()
    }

    /// From another address of this machine.
    pub(crate) async fn connect_from(seed: u8, from: Ipv4Addr, server: &Running) -> io::Result<Self> {
        Self::over(seed, open(from, server.relay(), None).await?, server).await
    }

    /// Over a socket that takes little as long as nothing is read.
    pub(crate) async fn connect_narrow(seed: u8, server: &Running) -> Self {
        let stream = open(Ipv4Addr::LOCALHOST, server.relay(), Some(4096)).await.unwrap();
        Self::over(seed, stream, server).await.unwrap()
    }

    async fn over(seed: u8, mut stream: TcpStream, server: &Running) -> io::Result<Self> {
        let header = OWN_HEADER.to_bytes();
        let keys = NoiseKeys::new(noise(seed));
        let (initiator, msg1) = Initiator::start(&keys, Secret::from_bytes(rand::random()), &header).unwrap();
        stream.write_all(&[&header[..], &framed(&msg1)].concat()).await?;
        let mut answer = [0; HEADER_LEN + 2 + MSG2_LEN];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap()?;
        let (theirs, msg2) = answer.split_first_chunk::<HEADER_LEN>().unwrap();
        let (msg3, transport) = initiator.read_msg2(&msg2[2..], theirs).unwrap().finish(None).unwrap();
        stream.write_all(&framed(&msg3)).await?;
        let (frames, input) = (FrameReader::default(), Vec::new());
        let mut client = Self { stream, seed, relay: server.relay_id(), transport, frames, input };
        client.send(&Message::Identity(identity(seed).signed().clone())).await;
        let answer = client.next().await;
        assert!(matches!(answer, Some(Message::Identity(_))), "{answer:?}");
        Ok(client)
    }

    /// Behind RELAY_REGISTER, with a mailbox.
    pub(crate) async fn registered(seed: u8, server: &Running) -> Self {
        let mut client = Self::connect(seed, server).await;
        client.register(false).await;
        client
    }

    pub(crate) async fn register(&mut self, push: bool) -> RelayRegistered {
        let request = RelayRegister { push: Some(push), ..self.registration() };
        match self.ask(&request.into()).await {
            Message::RelayRegistered(registered) => registered,
            other => panic!("{other:?}"),
        }
    }

    /// A RELAY_REGISTER that holds on this connection.
    pub(crate) fn registration(&self) -> RelayRegister {
        RelayRegister {
            identity: id(self.seed),
            auth_signature: self.auth(Role::Register),
            capabilities: RelayCapabilities { max_message_size: 65536, max_storage_duration: 86400 },
            mailbox: None,
            push: None,
            token: None,
        }
    }

    pub(crate) fn auth(&self, role: Role) -> Signature {
        let key = key(self.seed);
        key.sign(&auth_content(self.transport.handshake_hash(), &self.relay, &key.public(), role))
    }

    pub(crate) fn letter(&self, to: u8, message_id: u64, blob: Vec<u8>) -> StoreMessage {
        StoreMessage::signed(&self.relay, &key(self.seed), id(to), message_id, blob)
    }

    /// Stores a letter; 0 for success, else the error.
    pub(crate) async fn store(&mut self, to: u8, message_id: u64, length: usize) -> u16 {
        let letter = self.letter(to, message_id, vec![1; length]);
        self.stored(letter).await.error_code.unwrap_or(0)
    }

    pub(crate) async fn stored(&mut self, letter: StoreMessage) -> StoreResponse {
        match self.ask(&letter.into()).await {
            Message::StoreResponse(response) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn retrieve(&mut self, after: u64) -> MessageBatch {
        let hash = *self.transport.handshake_hash();
        let request = RetrieveMessages::after(after, &key(self.seed), &hash, &self.relay);
        match self.ask(&request.into()).await {
            Message::MessageBatch(batch) => batch,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn ask(&mut self, request: &Message) -> Message {
        self.send(request).await;
        self.next().await.expect("the relay has closed the connection")
    }

    pub(crate) async fn send(&mut self, message: &Message) {
        let frame = self.seal(&message.encode());
        self.write(&frame).await.unwrap();
    }

    /// The frame of a plaintext, whatever it is.
    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        self.transport.seal(plaintext, &mut frame).unwrap();
        frame
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next message; none at the end of the stream, however it ends.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        timeout(PATIENCE, self.read()).await.expect("no answer in time")
    }

    async fn read(&mut self) -> Option<Message> {
        loop {
            let mut input = &self.input[..];
            let mut plaintext = Vec::new();
            let is_whole = match self.frames.next(&mut input, MAX_FRAME).unwrap() {
                Some(frame) => {
                    self.transport.open(frame.as_ref(), &mut plaintext).unwrap();
                    true
                }
                None => false,
            };
            let taken = self.input.len() - input.len();
            self.input.drain(..taken);
            if is_whole {
                match Message::decode(&plaintext).unwrap() {
                    // A test may take longer than a relay waits for a sign of life.
                    Message::Ping(Ping { nonce }) => {
                        let frame = self.seal(&Message::Pong(Pong { nonce }).encode());
                        let _ = self.write(&frame).await;
                        continue;
                    }
                    message => return Some(message),
                }
            }
            let mut bytes = vec![0; 65536];
            match self.stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
            }
        }
    }

    /// The fatal error with which the relay ends this connection.
    pub(crate) async fn fatal(&mut self) -> ErrorCode {
        match self.next().await {
            Some(Message::Error(error)) if error.fatal => {
                assert!(self.next().await.is_none(), "it goes on after a fatal error");
                error.known_code().unwrap()
            }
            other => panic!("no fatal error: {other:?}"),
        }
    }

    /// The error that leaves the connection as it is.
    pub(crate) async fn refused(&mut self, request: &Message) -> ErrorCode {
        match self.ask(request).await {
            Message::Error(error) if !error.fatal => {
                let ping = Message::Ping(Ping { nonce: 77 });
                assert!(matches!(self.ask(&ping).await, Message::Pong(pong) if pong.nonce == 77));
                error.known_code().unwrap()
            }
            other => panic!("not refused: {other:?}"),
        }
    }
}

/// Connects from an address of this machine.
pub(crate) async fn open(from: Ipv4Addr, to: SocketAddr, receive_buffer: Option<u32>) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(SocketAddr::from((from, 0)))?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What comes until the other side ends the stream; a reset is an end too.
pub(crate) async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("not closed in time");
    if let Err(error) = end {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    bytes
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// Two people who send each other letters by the relay, all the time.
pub(crate) struct Honest {
    alice: Client,
    bob: Client,
    /// The id of the next letter.
    pub(crate) next: u64,
}

impl Honest {
    /// From addresses of their own.
    pub(crate) async fn start(server: &Running) -> Self {
        let (mut alice, mut bob) = (
            Client::connect_from(1, Ipv4Addr::new(127, 3, 0, 1), server).await.unwrap(),
            Client::connect_from(2, Ipv4Addr::new(127, 3, 1, 1), server).await.unwrap(),
        );
        alice.register(true).await;
        bob.register(true).await;
        Self { alice, bob, next: 1 }
    }

    /// A letter from one to the other, whose arrival is confirmed and told to its sender.
    pub(crate) async fn talk(&mut self) {
        use waypost_sremp::message::DeliveryConfirmation;
        let message_id = self.next;
        self.next += 1;
        assert_eq!(self.alice.store(2, message_id, 1000).await, 0);
        match self.bob.next().await {
            Some(Message::MessageBatch(batch)) => {
                assert_eq!(batch.messages.iter().map(|message| message.message_id).collect::<Vec<_>>(), [message_id]);
            }
            other => panic!("{other:?}"),
        }
        let confirmation = DeliveryConfirmation::signed(&key(2), id(1), message_id, Wall::from_millis(5));
        self.bob.send(&confirmation.into()).await;
        match self.alice.next().await {
            Some(Message::DeliveryConfirmation(told)) => assert_eq!(told.message_id, message_id),
            other => panic!("{other:?}"),
        }
    }
}

//! A peer that does the handshake by hand, up to where a test wants something else.

use super::node::{keys, noise_secret};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use waypost_core::SrempAddress;
use waypost_sremp::frame::{FrameReader, MAX_FRAME};
use waypost_sremp::noise::{Initiator, MSG2_LEN, NoiseKeys, Transport};
use waypost_sremp::version::{HEADER_LEN, OWN_HEADER};
use waypost_sremp::{Message, x25519::Secret};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    seed: u8,
    transport: Option<Transport>,
}

impl Raw {
    pub(crate) async fn connect(seed: u8, to: &SrempAddress) -> Self {
        Self::connect_from(seed, Ipv4Addr::LOCALHOST, to).await.unwrap()
    }

    /// Connects from another address of this machine.
    pub(crate) async fn connect_from(seed: u8, from: Ipv4Addr, to: &SrempAddress) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        let stream = socket.connect(to.to_string().parse().unwrap()).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, seed, transport: None })
    }

    /// Everything up to and including msg3.
    pub(crate) async fn handshake(&mut self) {
        let header = OWN_HEADER.to_bytes();
        let keys = NoiseKeys::new(noise_secret(self.seed));
        let (initiator, msg1) = Initiator::start(&keys, Secret::from_bytes([99; 32]), &header).unwrap();
        self.write(&[&header[..], &framed(&msg1)].concat()).await;
        let mut answer = [0; HEADER_LEN + 2 + MSG2_LEN];
        self.stream.read_exact(&mut answer).await.unwrap();
        let (theirs, msg2) = answer.split_first_chunk::<HEADER_LEN>().unwrap();
        let (msg3, transport) = initiator.read_msg2(&msg2[2..], theirs).unwrap().finish(None).unwrap();
        self.write(&framed(&msg3)).await;
        self.transport = Some(transport);
    }

    /// The handshake and the own identity.
    pub(crate) async fn identify(&mut self) {
        self.handshake().await;
        let identity = keys(self.seed).identity().signed().clone();
        self.send(&Message::Identity(identity)).await;
    }

    pub(crate) async fn send(&mut self, message: &Message) {
        let frame = self.seal(&message.encode());
        self.write(&frame).await;
    }

    /// The frame of a plaintext, whatever it is.
    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        self.transport.as_mut().unwrap().seal(plaintext, &mut frame).unwrap();
        frame
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// All messages until the other side ends the stream.
    pub(crate) async fn messages(&mut self) -> Vec<Message> {
        let bytes = self.read_to_end().await;
        let (mut input, mut reader, mut messages) = (&bytes[..], FrameReader::default(), Vec::new());
        while !input.is_empty() {
            let frame = reader.next(&mut input, MAX_FRAME).unwrap().unwrap();
            let mut plaintext = Vec::new();
            self.transport.as_mut().unwrap().open(frame.as_ref(), &mut plaintext).unwrap();
            messages.push(Message::decode(&plaintext).unwrap());
        }
        messages
    }

    /// What comes until the other side ends the stream; a reset is an end too.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.expect("not closed in time") {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
        bytes
    }
}

pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

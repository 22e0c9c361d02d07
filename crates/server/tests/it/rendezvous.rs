//! Hostile clients of a rendezvous server: each is refused with the profile's error, while others find each other.

use crate::client::{PATIENCE, id, identity, key};
use crate::servers::Running;
use std::net::Ipv4Addr;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use waypost_core::Wall;
use waypost_net::tls::ClientTls;
use waypost_sremp::message::{LookupRequest, LookupResponse, RegisterRequest, RegisterResponse};
use waypost_sremp::rendezvous::Framing;
use waypost_sremp::{ErrorCode, Message};

struct Client {
    stream: TlsStream<TcpStream>,
    framing: Framing,
    server: [u8; 32],
    input: Vec<u8>,
}

impl Client {
    async fn connect(server: &Running) -> Self {
        Self::connect_from(Ipv4Addr::LOCALHOST, server).await
    }

    async fn connect_from(from: Ipv4Addr, server: &Running) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let stream = socket.connect(server.rendezvous_at()).await.unwrap();
        let uri = server.rendezvous();
        let (stream, id) = ClientTls::default().connect(&uri, stream).await.unwrap();
        assert_eq!(Some(id), uri.pin);
        Self { stream, framing: Framing::client(), server: id, input: Vec::new() }
    }

    async fn ask(&mut self, request: &Message) -> Message {
        self.framing.send(request).unwrap();
        let bytes = self.framing.take_output();
        self.stream.write_all(&bytes).await.unwrap();
        let answer = async {
            loop {
                let mut input = &self.input[..];
                let message = self.framing.read(&mut input).unwrap();
                let taken = self.input.len() - input.len();
                self.input.drain(..taken);
                if let Some(message) = message {
                    return message;
                }
                let mut bytes = [0; 4096];
                let count = self.stream.read(&mut bytes).await.unwrap();
                assert!(count > 0, "the server has closed the connection");
                self.input.extend_from_slice(&bytes[..count]);
            }
        };
        timeout(PATIENCE, answer).await.expect("no answer in time")
    }

    fn registration(&self, seed: u8, endpoint: &str, seq: u64) -> RegisterRequest {
        let endpoint = endpoint.parse().unwrap();
        RegisterRequest::signed(&self.server, &key(seed), &identity(seed), &endpoint, 600, seq, now())
    }

    /// The error of a registration, 0 for none.
    async fn register(&mut self, request: RegisterRequest) -> u16 {
        match self.ask(&request.into()).await {
            Message::RegisterResponse(RegisterResponse { success, error_code, .. }) => {
                assert_eq!(success, error_code.is_none());
                error_code.unwrap_or(0)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn look_up(&mut self, seed: u8) -> LookupResponse {
        let request = LookupRequest { target_identity: Some(id(seed)), list_all: false, after: None, limit: None };
        self.look(request).await
    }

    async fn look(&mut self, request: LookupRequest) -> LookupResponse {
        match self.ask(&request.into()).await {
            Message::LookupResponse(response) => response,
            other => panic!("{other:?}"),
        }
    }
}

fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Wall::from_millis(since.as_millis() as u64)
}

/// Profile, Rendezvous, address filter: ERROR 32, and nothing is dialled.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dials_back_dials_nobody_inside_a_network_for_a_stranger() {
    let server = Running::with(|config| config.rendezvous.probe = true).await;
    // What a stranger would like to have knocked at.
    let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = inside.local_addr().unwrap().port();
    let mut client = Client::connect(&server).await;
    let mut honest = Client::connect_from(Ipv4Addr::new(127, 3, 0, 1), &server).await;
    let hosts =
        ["127.0.0.1", "localhost", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[::1]", "[fd00::1]"];
    for (seq, host) in (1..).zip(hosts) {
        let request = client.registration(3, &format!("{host}:{port}"), seq);
        let code = client.register(request).await;
        assert_eq!(code, ErrorCode::EndpointUnreachable.value(), "{host}");
        assert!(honest.look_up(3).await.peers.is_empty(), "what was not found is not published");
    }
    // Whatever the server had dialled would stand in the queue before this.
    let own = TcpStream::connect(inside.local_addr().unwrap()).await.unwrap();
    let first = inside.accept().await.unwrap().1;
    assert_eq!(first, own.local_addr().unwrap(), "the server dialled inside its network");
    server.stop().await;
}

/// SR-7.1d, SR-7.1e
#[tokio::test(flavor = "multi_thread")]
async fn registrations_that_are_forged_replayed_old_or_for_another_server_are_refused() {
    let server = Running::start().await;
    let mut client = Client::connect(&server).await;
    let mut honest = Client::connect_from(Ipv4Addr::new(127, 3, 0, 1), &server).await;
    let good = honest.registration(1, "192.0.2.1:7300", 5);
    assert_eq!(honest.register(good.clone()).await, 0);
    let mut redirected = good.clone();
    redirected.endpoint.host = "192.0.2.66".into();
    let mut longer = good.clone();
    longer.ttl_seconds = 3600;
    let endpoint = "192.0.2.66:1".parse().unwrap();
    let elsewhere = RegisterRequest::signed(&[9; 32], &key(1), &identity(1), &endpoint, 600, 9, now());
    let stolen = RegisterRequest::signed(&client.server, &key(4), &identity(1), &endpoint, 600, 9, now());
    for request in [redirected, longer, elsewhere, stolen] {
        assert_eq!(client.register(request).await, ErrorCode::RegSig.value());
        assert_eq!(honest.look_up(1).await.peers[0].endpoint.host, "192.0.2.1");
    }
    let late = Wall::from_millis(now().as_millis() - 601_000);
    let old = RegisterRequest::signed(&client.server, &key(1), &identity(1), &endpoint, 600, 9, late);
    assert_eq!(client.register(old).await, ErrorCode::Expired.value());
    let before = honest.registration(1, "192.0.2.2:7300", 4);
    assert_eq!(client.register(before).await, ErrorCode::RegSeq.value());
    assert_eq!(client.register(good).await, 0, "the same again changes nothing");
    assert_eq!(honest.look_up(1).await.peers[0].endpoint.host, "192.0.2.1");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_refused_by_address_and_registrations_by_identity() {
    let server = Running::start().await;
    let mut client = Client::connect(&server).await;
    let mut honest = Client::connect_from(Ipv4Addr::new(127, 3, 0, 1), &server).await;
    for seq in 1..=10 {
        let request = client.registration(1, "192.0.2.1:7300", seq);
        assert_eq!(client.register(request).await, 0);
    }
    let request = client.registration(1, "192.0.2.1:7300", 11);
    assert_eq!(client.register(request).await, ErrorCode::Rate.value());
    let list = LookupRequest { target_identity: None, list_all: true, after: None, limit: None };
    for _ in 0..10 {
        assert_eq!(client.look(list.clone()).await.error_code, None);
    }
    assert_eq!(client.look(list.clone()).await.error_code, Some(ErrorCode::Rate.value()));
    for _ in 0..60 {
        assert_eq!(client.look_up(1).await.error_code, None);
    }
    assert_eq!(client.look_up(1).await.error_code, Some(ErrorCode::Rate.value()));
    // Another connection from there is no way around it; another address has its own count.
    assert_eq!(Client::connect(&server).await.look_up(1).await.error_code, Some(ErrorCode::Rate.value()));
    assert_eq!(honest.look_up(1).await.peers.len(), 1);
    server.stop().await;
}

//! Rendezvous servers and clients over real TLS.

use super::servers::{Authority, PATIENCE, Server, is_answer, request};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{RootCertStore, SupportedProtocolVersion, version};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use waypost_net::rendezvous::{ClientCommand, ClientConfig, ClientEvent, ClientFault, RendezvousClient};
use waypost_net::rendezvous::{RendezvousServer, ServerCommand, ServerConfig, ServerEvent, ServerLimits, ServerTiming};
use waypost_net::tls::{ClientTls, ServerTls, TlsFault};
use waypost_sremp::endpoint::Learned;
use waypost_sremp::rendezvous::{ALPN, Framing, ServerUri};
use waypost_sremp::version::OWN_HEADER;
use waypost_sremp::{LinkId, Message};

/// A client and its one connection.
struct Client {
    driver: RendezvousClient,
    news: mpsc::Receiver<ClientEvent>,
    framing: Framing,
}

const LINK: LinkId = LinkId(1);

impl Client {
    fn open(server: &ServerUri, tls: ClientTls) -> Self {
        Self::open_as(server, Learned::FromUser, ClientConfig { tls, ..ClientConfig::default() })
    }

    fn open_as(server: &ServerUri, learned: Learned, config: ClientConfig) -> Self {
        let (sender, news) = mpsc::channel(4);
        let driver = RendezvousClient::start(config, sender);
        driver.command(ClientCommand::Open { link: LINK, server: server.clone(), learned });
        Self { driver, news, framing: Framing::client() }
    }

    async fn next(&mut self) -> ClientEvent {
        timeout(PATIENCE, self.news.recv()).await.expect("no event in time").expect("the client is gone")
    }

    async fn opened(&mut self) -> [u8; 32] {
        match self.next().await {
            ClientEvent::Opened { server_id, .. } => server_id,
            other => panic!("not opened: {other:?}"),
        }
    }

    async fn fault(&mut self) -> Option<ClientFault> {
        match self.next().await {
            ClientEvent::Closed { fault, .. } => fault,
            other => panic!("not closed: {other:?}"),
        }
    }

    async fn ask(&mut self, request: &Message) -> Message {
        self.framing.send(request).unwrap();
        self.driver.command(ClientCommand::Send(LINK, self.framing.take_output()));
        loop {
            match self.next().await {
                ClientEvent::Received { bytes, .. } => {
                    let mut input = &bytes[..];
                    if let Some(answer) = self.framing.read(&mut input).unwrap() {
                        assert!(input.is_empty());
                        return answer;
                    }
                }
                other => panic!("no answer: {other:?}"),
            }
        }
    }
}

async fn fault(server: &ServerUri, tls: ClientTls) -> ClientFault {
    Client::open(server, tls).fault().await.unwrap()
}

/// TLS by hand, to a server whose key is known.
async fn raw(server: &Server) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    ClientTls::default().connect(&server.pinned(), stream).await.unwrap().0
}

/// How long the server lets it live; the clock must be stopped.
async fn lifetime(stream: &mut TlsStream<TcpStream>) -> Duration {
    let start = Instant::now();
    let _ = stream.read_to_end(&mut Vec::new()).await;
    start.elapsed()
}

/// SR-2.1, SR-4.2a
#[tokio::test]
async fn a_client_asks_a_server_by_the_right_pin_or_the_right_name() {
    let authority = Authority::new();
    let server = Server::start(authority.server(&["localhost"])).await;
    for uri in [server.pinned(), server.named("localhost")] {
        let mut client = Client::open(&uri, authority.client());
        assert_eq!(client.opened().await, server.id);
        for _ in 0..3 {
            assert!(is_answer(&client.ask(&request()).await));
        }
        client.driver.command(ClientCommand::Close(LINK));
        assert_eq!(client.fault().await, None);
    }
    server.until(|counts| counts.open == 0 && counts.unsent == 0 && counts.messages == 6).await;
}

/// Checklist 18.
#[tokio::test]
async fn a_client_refuses_a_wrong_pin_a_wrong_name_and_an_unknown_authority() {
    let authority = Authority::new();
    let server = Server::start(authority.server(&["localhost", "127.0.0.1"])).await;
    let mut wrong = server.pinned();
    wrong.pin = wrong.pin.map(|mut pin| {
        pin[31] ^= 1;
        pin
    });
    assert_eq!(fault(&wrong, authority.client()).await, ClientFault::Tls(TlsFault::WrongPin));
    let unknown = ClientTls::default();
    assert_eq!(fault(&server.named("localhost"), unknown).await, ClientFault::Tls(TlsFault::BadCertificate));
    let elsewhere = Server::start(authority.server(&["rdv.example"])).await;
    for host in ["localhost", "127.0.0.1"] {
        let wrong = fault(&elsewhere.named(host), authority.client()).await;
        assert_eq!(wrong, ClientFault::Tls(TlsFault::WrongName));
    }
    assert_eq!(Client::open(&server.named("127.0.0.1"), authority.client()).opened().await, server.id);
}

/// Checklist 18: servers of another kind.
#[tokio::test]
async fn a_client_refuses_tls_1_2_and_other_protocols() {
    let authority = Authority::new();
    let (chain, key) = authority.files(&["localhost"]);
    let cases: [(&'static SupportedProtocolVersion, &[&[u8]]); 3] =
        [(&version::TLS12, &[ALPN]), (&version::TLS13, &[b"h2"]), (&version::TLS13, &[])];
    for (version, protocols) in cases {
        let mut config = rustls::ServerConfig::builder_with_protocol_versions(&[version])
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(&chain).unwrap()],
                PrivateKeyDer::from_pem_file(&key).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("sremp-rdv://localhost:{}", listener.local_addr().unwrap().port()).parse().unwrap();
        tokio::spawn(async move {
            let stream = listener.accept().await.unwrap().0;
            let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
            stream.read_to_end(&mut Vec::new()).await
        });
        assert_eq!(fault(&uri, authority.client()).await, ClientFault::Tls(TlsFault::OtherProtocol), "{protocols:?}");
    }
}

/// Checklist 18: clients of another kind.
#[tokio::test]
async fn a_server_refuses_tls_1_2_and_other_protocols_and_serves_on() {
    let authority = Authority::new();
    let server = Server::start(authority.server(&["localhost"])).await;
    let cases: [(&'static SupportedProtocolVersion, &[&[u8]]); 3] =
        [(&version::TLS12, &[ALPN]), (&version::TLS13, &[b"h2"]), (&version::TLS13, &[])];
    for (version, protocols) in cases {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(authority.root().to_vec())).unwrap();
        let mut config = rustls::ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let refused = async {
            let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            stream.write_all(&OWN_HEADER.to_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            io::Result::Ok(answer)
        };
        let refused = timeout(PATIENCE, refused).await.unwrap();
        assert!(refused.as_ref().map_or(true, Vec::is_empty), "{version:?} {protocols:?}: {refused:?}");
    }
    server.until(|counts| counts.not_opened == 3).await;
    Client::open(&server.pinned(), ClientTls::default()).opened().await;
}

#[tokio::test]
async fn a_client_dials_no_private_address_that_others_named() {
    let authority = Authority::new();
    let server = Server::start(authority.server(&["localhost"])).await;
    let mut client = Client::open_as(&server.pinned(), Learned::FromOthers, ClientConfig::default());
    assert_eq!(client.fault().await, Some(ClientFault::NotPermitted));
    assert_eq!(server.counts().await.accepted, 0);
}

#[tokio::test]
async fn a_server_lets_nobody_open_for_longer_than_10_s() {
    let authority = Authority::new();
    let server = Server::start(authority.server(&["localhost"])).await;
    let mut half_header = raw(&server).await;
    half_header.write_all(b"SRE").await.unwrap();
    let mut silent = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    server.until(|counts| counts.open == 2).await;
    tokio::time::pause();
    let lived = lifetime(&mut half_header).await;
    assert!((9..=10).contains(&lived.as_secs()), "{lived:?}");
    assert_eq!(silent.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    tokio::time::resume();
    server.until(|counts| counts.not_opened == 2).await;
}

#[tokio::test]
async fn a_server_closes_who_asks_nothing_for_60_s() {
    let authority = Authority::new();
    let server = Server::start(authority.server(&["localhost"])).await;
    let mut idle = raw(&server).await;
    idle.write_all(&OWN_HEADER.to_bytes()).await.unwrap();
    let mut header = [0; 7];
    idle.read_exact(&mut header).await.unwrap();
    assert_eq!(header, OWN_HEADER.to_bytes());
    // A request that is never complete is none.
    idle.write_all(&[0, 0, 1]).await.unwrap();
    tokio::time::pause();
    let lived = lifetime(&mut idle).await;
    assert!((59..=60).contains(&lived.as_secs()), "{lived:?}");
}

/// SR-2.1: ERROR 2 and the end.
#[tokio::test]
async fn a_server_closes_on_lengths_out_of_bounds_and_on_what_is_no_message() {
    let authority = Authority::new();
    let server = Server::start(authority.server(&["localhost"])).await;
    for bytes in [&[0, 0, 0, 0][..], &[0, 1, 0, 1], &[0xff; 4], &[0, 0, 0, 1, 0xc1]] {
        let mut stream = raw(&server).await;
        stream.write_all(&[&OWN_HEADER.to_bytes()[..], bytes].concat()).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        let mut client = Framing::client();
        let mut input = &answer[..];
        let answer = client.read(&mut input).unwrap().unwrap();
        assert!(matches!(answer, Message::Error(error) if error.code == 2 && error.fatal), "{bytes:?}");
        assert!(input.is_empty());
    }
    for (other, answer) in [(&b"GET / HTTP/1.1\r\n"[..], &b""[..]), (b"SREMP\x02\x00", &OWN_HEADER.to_bytes())] {
        let mut stream = raw(&server).await;
        stream.write_all(other).await.unwrap();
        let mut bytes = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        assert_eq!(bytes, answer);
    }
}

#[tokio::test]
async fn a_server_takes_20_connections_of_one_host() {
    let authority = Authority::new();
    let server = Server::start(authority.server(&["localhost"])).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(raw(&server).await);
    }
    let mut one_more = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    assert_eq!(timeout(PATIENCE, one_more.read_to_end(&mut Vec::new())).await.unwrap().unwrap(), 0);
    assert_eq!(server.counts().await.crowded, 1);
    streams.pop();
    server.until(|counts| counts.open == 19).await;
    raw(&server).await;
}

#[tokio::test]
async fn a_server_holds_little_for_who_does_not_read_its_answers() {
    let authority = Authority::new();
    let (limits, timing) = (ServerLimits::default(), ServerTiming::default());
    let server = Server::with(authority.server(&["localhost"]), limits, timing).await;
    let greedy = raw(&server).await;
    let mut framing = Framing::client();
    for _ in 0..5000 {
        framing.send(&request()).unwrap();
    }
    let requests = framing.take_output();
    // 5,000 answers of 58 KB would be 290 MB.
    let (reader, mut writer) = tokio::io::split(greedy);
    let writing = tokio::spawn(async move { writer.write_all(&requests).await });
    server.until(|counts| counts.unsent > limits.unsent as u64).await;
    tokio::time::pause();
    tokio::time::advance(timing.write + Duration::from_millis(1)).await;
    server
        .until(|counts| {
            assert!(counts.unsent < (limits.requests as u64 + 1) * 60_000 + limits.unsent as u64, "{counts:?}");
            counts.open == 0
        })
        .await;
    assert!(server.counts().await.messages < 1000, "what the system buffers, and little more");
    drop(reader);
    writing.abort();
}

#[tokio::test]
async fn a_server_sends_what_waits_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let tls = ServerTls::self_signed(&folder.path().join("own.pem")).unwrap();
    let (limits, timing) = (ServerLimits::default(), ServerTiming::default());
    let uri = |port: u16| ServerUri { pin: Some(tls.id()), ..format!("sremp-rdv://127.0.0.1:{port}").parse().unwrap() };
    let config = ServerConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], tls: tls.clone(), limits, timing };
    let (sender, mut news) = mpsc::channel(4);
    let server = RendezvousServer::start(config, sender).await.unwrap();
    let mut client = Client::open(&uri(server.listening()[0].port()), ClientTls::default());
    client.opened().await;
    let question = request();
    let asking = client.ask(&question);
    let stopping = async {
        let opened = timeout(PATIENCE, news.recv()).await.unwrap();
        assert!(matches!(opened, Some(ServerEvent::Opened { .. })), "{opened:?}");
        let Some(ServerEvent::Message { link, message }) = timeout(PATIENCE, news.recv()).await.unwrap() else {
            panic!("no message")
        };
        // It comes back: what is said last must arrive whatever the kind.
        server.command(ServerCommand::Send(link, message));
        timeout(PATIENCE, server.stop()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(asking, stopping);
    assert_eq!(answer, question);
    assert!(matches!(client.fault().await, Some(ClientFault::Eof | ClientFault::Broken)));
}

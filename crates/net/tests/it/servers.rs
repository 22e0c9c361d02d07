//! Certificates, rendezvous servers and clients for tests.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use waypost_net::Clock;
use waypost_net::rendezvous::{
    RendezvousServer, ServerCommand, ServerConfig, ServerCounts, ServerEvent, ServerLimits, ServerTiming,
};
use waypost_net::tls::{ClientTls, ServerTls};
use waypost_sremp::Message;
use waypost_sremp::message::{ListServersRequest, ServerAddress};
use waypost_sremp::rendezvous::{Input, Output, Registry, RegistryLimits, RegistryPolicy, RegistryTiming, ServerUri};
use waypost_testkit::mailbox::MemoryMailbox;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A certificate authority of the test's own.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(crate) folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, folder: tempfile::tempdir().unwrap() }
    }

    /// A server whose certificate is for these names.
    pub(crate) fn server(&self, names: &[&str]) -> ServerTls {
        let (chain, key) = self.files(names);
        ServerTls::from_pem_files(Path::new(&chain), Path::new(&key)).unwrap()
    }

    pub(crate) fn files(&self, names: &[&str]) -> (String, String) {
        let params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let (chain_file, key_file) = (path("chain.pem"), path("key.pem"));
        std::fs::write(&chain_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (chain_file, key_file)
    }

    pub(crate) fn root(&self) -> &[u8] {
        self.issuer.der()
    }

    /// Who believes this authority alone.
    pub(crate) fn client(&self) -> ClientTls {
        ClientTls::with_roots([self.root()]).unwrap()
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) id: [u8; 32],
    counts: mpsc::Sender<tokio::sync::oneshot::Sender<ServerCounts>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(tls: ServerTls) -> Self {
        Self::with(tls, ServerLimits::default(), ServerTiming::default()).await
    }

    pub(crate) async fn with(tls: ServerTls, limits: ServerLimits, timing: ServerTiming) -> Self {
        let (sender, news) = mpsc::channel(64);
        let id = tls.id();
        let config = ServerConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], tls, limits, timing };
        let server = RendezvousServer::start(config, sender).await.unwrap();
        let port = server.listening()[0].port();
        let (counts, asked) = mpsc::channel(1);
        let task = tokio::spawn(serve(id, server, news, asked));
        Self { port, id, counts, task }
    }

    /// How a client names it that knows its key.
    pub(crate) fn pinned(&self) -> ServerUri {
        ServerUri { pin: Some(self.id), ..self.named("127.0.0.1") }
    }

    pub(crate) fn named(&self, host: &str) -> ServerUri {
        format!("sremp-rdv://{host}:{}", self.port).parse().unwrap()
    }

    pub(crate) async fn counts(&self) -> ServerCounts {
        let (answer, counts) = tokio::sync::oneshot::channel();
        self.counts.send(answer).await.unwrap();
        timeout(PATIENCE, counts).await.unwrap().unwrap()
    }

    /// Waits for what must become true.
    pub(crate) async fn until(&self, what: impl Fn(ServerCounts) -> bool) {
        let reached = async {
            while !what(self.counts().await) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, reached).await.expect("the counts do not become so");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The registry, with what it keeps in memory.
async fn serve(
    id: [u8; 32],
    server: RendezvousServer,
    mut news: mpsc::Receiver<ServerEvent>,
    mut asked: mpsc::Receiver<tokio::sync::oneshot::Sender<ServerCounts>>,
) {
    let policy = RegistryPolicy { servers: suggested(), ..RegistryPolicy::default() };
    let mut registry = Registry::new(id, policy, RegistryLimits::default(), RegistryTiming::default());
    let (mut mailbox, clock) = (MemoryMailbox::default(), Clock::start());
    loop {
        let event = tokio::select! {
            event = news.recv() => event.unwrap(),
            Some(answer) = asked.recv() => {
                let _ = answer.send(server.counts());
                continue;
            }
        };
        let mut inputs = vec![match event {
            ServerEvent::Opened { link, address } => Input::Connected { link, address },
            ServerEvent::Message { link, message } => Input::Message { link, message },
            ServerEvent::Fault { link, error } => Input::Fault { link, error },
            ServerEvent::Closed { link } => Input::Disconnected(link),
            other => panic!("{other:?}"),
        }];
        while let Some(input) = inputs.pop() {
            registry.handle(clock.now(), input);
            while let Some(output) = registry.poll() {
                match output {
                    Output::Mailbox(id, ops) => inputs.push(Input::Mailbox(id, mailbox.commit(clock.now().wall, ops))),
                    Output::Send(link, message) => server.command(ServerCommand::Send(link, message)),
                    Output::Close(link, error) => server.command(ServerCommand::Close(link, Some(error))),
                    Output::Probe { .. } => panic!("nobody is dialled back by default"),
                }
            }
        }
    }
}

/// Other servers, with names so long that LIST_SERVERS_RESPONSE takes some 60 KB.
fn suggested() -> Vec<ServerAddress> {
    let host = "x".repeat(1800);
    (0..32).map(|n| ServerAddress { host: host.clone(), port: 1 + n, name: None, spki: None }).collect()
}

/// What a server says to [`request`].
pub(crate) fn is_answer(message: &Message) -> bool {
    matches!(message, Message::ListServersResponse(response) if response.servers == suggested())
}

pub(crate) fn request() -> Message {
    ListServersRequest {}.into()
}

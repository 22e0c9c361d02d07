//! A server with all roles, at addresses of this machine.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use waypost_core::ContactId;
use waypost_server::{Config, Data, Facts, Role, RoleFacts, Server};
use waypost_sremp::rendezvous::ServerUri;

/// A running server and its folder.
pub(crate) struct Running {
    server: Option<Server>,
    facts: Facts,
    _folder: TempDir,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings than the defaults.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut config = Config::default();
        (config.relay.listen, config.rendezvous.listen) = (vec![free], vec![free]);
        // The machine's disk may be as full as it likes.
        config.relay.disk_percent = 100;
        config.metrics.listen = Some(free);
        change(&mut config);
        let data = Data::open(folder.path()).unwrap();
        let roles = BTreeSet::from([Role::Relay, Role::Rendezvous]);
        let server = Server::start(&config, &roles, &data).await.unwrap();
        Self { facts: server.facts().clone(), server: Some(server), _folder: folder }
    }

    /// A relay in another process.
    pub(crate) fn elsewhere(relay: RoleFacts) -> Self {
        let facts = Facts { relay: Some(relay), ..Facts::default() };
        Self { server: None, facts, _folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn relay_facts(&self) -> &RoleFacts {
        self.facts.relay.as_ref().unwrap()
    }

    pub(crate) fn relay(&self) -> SocketAddr {
        self.relay_facts().listening[0]
    }

    pub(crate) fn relay_id(&self) -> ContactId {
        let address = &self.relay_facts().address;
        address.rsplit("k=").next().unwrap().parse().unwrap()
    }

    pub(crate) fn rendezvous(&self) -> ServerUri {
        self.facts.rendezvous.as_ref().unwrap().address.parse().unwrap()
    }

    pub(crate) fn rendezvous_at(&self) -> SocketAddr {
        self.facts.rendezvous.as_ref().unwrap().listening[0]
    }

    /// One of the figures for the operator, by its name without `waypost_`; 0 as long as it is not there.
    pub(crate) async fn figure(&self, name: &str) -> u64 {
        let at = self.facts.metrics.unwrap();
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let name = format!("waypost_{name} ");
        let figure = answer.lines().find_map(|line| line.strip_prefix(&name));
        figure.map_or(0, |figure| figure.trim().parse().unwrap())
    }

    pub(crate) async fn stop(mut self) {
        self.server.take().unwrap().stop().await.unwrap();
    }
}

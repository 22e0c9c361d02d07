//! `waypost serve` with a policy that does not stand in the way of a benchmark.

use crate::child::Server;
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use waypost_core::RelayAddress;
use waypost_sremp::rendezvous::ServerUri;

/// What the policy is in all parts; the manual says so.
pub(super) const POLICY: &str = "the policy is raised in the configuration of relay and rendezvous server: no bound by \
     host, by rate or by quota stands in the way; everything else is as it comes";

const CONFIG: &str = r#"
[relay]
listen = ["127.0.0.1:0"]
connections_per_host = 20000
quota_bytes = 100_000_000_000
quota_messages = 4_000_000_000
sender_bytes = 100_000_000_000
sender_messages = 4_000_000_000
rate_store = 4_000_000_000
rate_retrieve = 4_000_000_000

[rendezvous]
listen = ["127.0.0.1:0"]
connections_per_host = 10000
rate_lookup = 4_000_000_000
"#;

/// A server's program and its folder.
pub(super) struct Waypost<'a> {
    pub(super) binary: &'a Path,
    pub(super) folder: PathBuf,
    /// Mebibytes for pages of the mailboxes' file.
    pub(super) cache_mib: u32,
}

/// One that runs.
pub(super) struct Running {
    pub(super) server: Server,
    /// From its start until it said that it is ready.
    pub(super) took: Duration,
    ready: serde_json::Value,
}

impl<'a> Waypost<'a> {
    pub(super) fn new(binary: &'a Path, folder: PathBuf) -> Self {
        Self { binary, folder, cache_mib: 64 }
    }

    /// The file with all mailboxes.
    pub(super) fn mailboxes(&self) -> PathBuf {
        self.folder.join("data/mailboxes")
    }

    /// Starts it in one role.
    pub(super) fn start(&self, role: &str) -> Result<Running> {
        fs::create_dir_all(self.folder.join("data"))?;
        let config = self.folder.join("server.toml");
        fs::write(&config, format!("{CONFIG}\n[mailbox]\ncache_mib = {}\n", self.cache_mib))?;
        let mut serve = Command::new(self.binary);
        for variable in ["WAYPOST_HOME", "WAYPOST_PASSPHRASE", "WAYPOST_LOG"] {
            serve.env_remove(variable);
        }
        serve.arg("--home").arg(&self.folder).args(["serve", role, "--json", "--config"]).arg(config);
        serve.arg("--data").arg(self.folder.join("data")).stdout(Stdio::piped());
        let (log, started) = (self.folder.join("log"), Instant::now());
        let mut server = Server::start(&mut serve, &log)?;
        let line = server.first_line()?;
        let took = started.elapsed();
        let ready = serde_json::from_str(&line)
            .with_context(|| format!("the server did not start: {}", fs::read_to_string(&log).unwrap_or_default()))?;
        Ok(Running { server, took, ready })
    }
}

impl Running {
    /// The relay's address and identity.
    pub(super) fn relay(&self) -> Result<(SocketAddr, RelayAddress)> {
        let address: RelayAddress = self.address("relay", "sremp-relay://")?.parse().ok().context("no address")?;
        Ok((self.listening("relay")?, address))
    }

    /// The rendezvous server's address and pin.
    pub(super) fn rendezvous(&self) -> Result<(SocketAddr, ServerUri)> {
        let uri = self.address("rendezvous", "")?.parse().ok().context("no address")?;
        Ok((self.listening("rendezvous")?, uri))
    }

    fn address(&self, role: &str, prefix: &str) -> Result<&str> {
        let address = self.ready.get(role).and_then(|facts| facts.get("address")).and_then(|text| text.as_str());
        address.and_then(|text| text.strip_prefix(prefix)).with_context(|| format!("no address of the {role}"))
    }

    fn listening(&self, role: &str) -> Result<SocketAddr> {
        let addresses = self.ready.get(role).and_then(|facts| facts.get("listening")).and_then(|all| all.as_array());
        let first = addresses.and_then(|all| all.first()).and_then(|text| text.as_str());
        let address: SocketAddr = first.context("it listens nowhere")?.parse()?;
        ensure!(address.ip().is_loopback(), "it listens on {address}");
        Ok(address)
    }
}

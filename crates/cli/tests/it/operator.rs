//! Operators, who run servers in processes of their own.

use crate::people::{Running, own_address, program};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Somebody with a settings file and a data folder for servers.
pub(crate) struct Operator {
    folder: TempDir,
    within: Option<String>,
}

impl Operator {
    /// With these settings.
    pub(crate) fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("server.toml"), settings).unwrap();
        Self { folder, within: None }
    }

    /// The same in a network namespace.
    pub(crate) fn within(namespace: &str, settings: &str) -> Self {
        Self { within: Some(namespace.to_owned()), ..Self::new(settings) }
    }

    /// Starts the servers and waits until they listen.
    pub(crate) async fn serve(&self) -> Running {
        let path = |name: &str| self.folder.path().join(name);
        let mut command = program(self.within.as_deref());
        command.args(["serve", "--json", "--config"]).arg(path("server.toml"));
        command.arg("--data").arg(path("data")).env("WAYPOST_HOME", path("home")).env("NO_COLOR", "1");
        command.stdout(Stdio::piped()).kill_on_drop(true);
        Running::ready(command).await
    }
}

/// Settings of a relay, at an address that outlives a restart and with figures, that refuses nobody for being fast.
pub(crate) fn relay_without_rates() -> String {
    let at = own_address();
    let figures = SocketAddr::new(at.ip(), at.port() + 1);
    format!(
        "roles = [\"relay\"]\n[relay]\ndisk_percent = 100\nlisten = [\"{at}\"]\nconnections_per_host = 1000\n\
         quota_bytes = 1000000000\nquota_messages = 1000000\nsender_bytes = 1000000000\nsender_messages = 1000000\n\
         rate_store = 1000000\nrate_retrieve = 1000000\n[metrics]\nlisten = \"{figures}\"\n"
    )
}

/// The address that a ready line tells of a role.
pub(crate) fn address(running: &Running, role: &str) -> String {
    running.ready[role]["address"].as_str().unwrap_or_else(|| panic!("{}", running.ready)).to_owned()
}

/// One of the figures that a running server shows, by its name without `waypost_`; none before it has counted.
pub(crate) async fn figure(running: &Running, name: &str) -> Option<u64> {
    let Value::String(at) = &running.ready["metrics"] else { panic!("{}", running.ready) };
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let name = format!("waypost_{name} ");
    let line = answer.lines().find_map(|line| line.strip_prefix(&name));
    line.map(|figure| figure.trim().parse().unwrap())
}

//! A relay in a process of its own, behind its proxy.

use super::proxy::Proxy;
use super::{PATIENCE, program};
use crate::failure::Failure;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use waypost_core::ErrorKind;

/// What the demo asks of a relay in a minute, the defaults forbid: they allow one sender 60 letters a
/// minute and 100 that wait. And the machine that shows it may have a full disk.
const SETTINGS: &str = "\
[relay]
listen = [\"127.0.0.1:0\"]
sender_messages = 10000
rate_store = 100000
rate_retrieve = 10000
disk_percent = 100
";

/// A relay of the demo.
pub(super) struct Relay {
    pub(super) proxy: Proxy,
    /// What people add; it leads to the proxy.
    pub(super) address: String,
    folder: PathBuf,
    child: Child,
}

/// The line that `serve --json` prints.
#[derive(Deserialize)]
struct Ready {
    relay: Role,
}

#[derive(Deserialize)]
struct Role {
    listening: Vec<SocketAddr>,
    address: String,
}

impl Relay {
    /// Starts a relay in a fresh folder.
    pub(super) async fn start(folder: &Path) -> Result<Self, Failure> {
        let (proxy, folder) = (Proxy::start().await?, folder.join("relay"));
        let settings = settings(&folder);
        std::fs::create_dir(&folder).map_err(|error| Failure::file("make", &folder, &error))?;
        std::fs::write(&settings, SETTINGS).map_err(|error| Failure::file("write", &settings, &error))?;
        let (child, role) = launch(&folder, &proxy).await?;
        let odd = || Failure::new(ErrorKind::Internal, "the relay names no address");
        let (scheme, rest) = role.address.split_once("://").ok_or_else(odd)?;
        let (_, keys) = rest.split_once('?').ok_or_else(odd)?;
        let address = format!("{scheme}://{}?{keys}", proxy.address);
        Ok(Self { proxy, address, folder, child })
    }

    /// Kills it without a warning and starts it again; gives how long it was gone.
    pub(super) async fn kill_and_restart(&mut self) -> Result<Duration, Failure> {
        let killed = Instant::now();
        self.kill().await?;
        let (child, _) = launch(&self.folder, &self.proxy).await?;
        self.child = child;
        Ok(killed.elapsed())
    }

    /// Kills it without a warning.
    pub(super) async fn kill(&mut self) -> Result<(), Failure> {
        self.proxy.point_at(None);
        let killed = self.child.kill().await;
        killed.map_err(|error| Failure::new(ErrorKind::Environment, format!("cannot kill: {error}")))
    }
}

fn settings(folder: &Path) -> PathBuf {
    folder.join("server.toml")
}

/// Starts a relay and points the proxy at it.
async fn launch(folder: &Path, proxy: &Proxy) -> Result<(Child, Role), Failure> {
    let failed = |what: &str| Failure::new(ErrorKind::Environment, format!("the relay did not start: {what}"));
    let mut command: Command = program(folder)?;
    let mut child = command
        .args(["serve", "relay", "--json", "--advertise", "127.0.0.1", "--config"])
        .arg(settings(folder))
        .arg("--data")
        .arg(folder.join("data"))
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error.to_string()))?;
    let stdout = child.stdout.take().ok_or_else(|| failed("it has no output"))?;
    let line = timeout(PATIENCE, BufReader::new(stdout).lines().next_line()).await;
    let Ok(Ok(Some(line))) = line else { return Err(failed("it was never ready")) };
    let ready: Ready = serde_json::from_str(&line).map_err(|error| failed(&error.to_string()))?;
    proxy.point_at(ready.relay.listening.first().copied());
    Ok((child, ready.relay))
}

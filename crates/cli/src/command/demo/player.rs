//! One of the two people: a node in a process of its own, behind its proxy.

use super::proxy::Proxy;
use super::seen::Seen;
use super::{PATIENCE, program};
use crate::failure::Failure;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use waypost_api::Client;
use waypost_core::{Body, ErrorKind, LetterId};
use waypost_node::Method;
use waypost_node::method::{
    AddServer, ContactRef, Entry, HistoryParams, LetterParams, LettersHistory, LettersSend, LettersTrace, NodePing,
    NodeStop, Nothing, PingParams, SendLetter, ServersAdd, ServersList,
};

/// Between two looks at how something is.
const LOOK: Duration = Duration::from_millis(50);

/// A person of the demo.
pub(super) struct Player {
    pub(super) name: &'static str,
    pub(super) proxy: Proxy,
    pub(super) started_in: Duration,
    pub(super) seen: Arc<Seen>,
    home: PathBuf,
    passphrase: String,
    child: Child,
    client: watch::Sender<Option<Arc<Client>>>,
}

/// The line that `up --json` prints.
#[derive(Deserialize)]
struct Ready {
    listening: Vec<SocketAddr>,
    socket: PathBuf,
}

impl Player {
    /// Makes an identity in a folder of its own and starts its node.
    pub(super) async fn start(name: &'static str, folder: &Path) -> Result<Self, Failure> {
        let proxy = Proxy::start().await?;
        let home = folder.join(name.to_lowercase());
        let passphrase = format!("{:032x}", rand::random::<u128>());
        // All is on this machine: a contact's relay is there too.
        for args in
            [&["init", "--json", "--name", name][..], &["config", "set", "sremp.allow_private_endpoints", "true"]]
        {
            let made =
                command(&home, &passphrase)?.args(args).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
            if !made.is_ok_and(|status| status.success()) {
                return Err(Failure::new(ErrorKind::Environment, format!("{name}'s identity could not be made")));
            }
        }
        let begin = Instant::now();
        let (child, client) = launch(&home, &passphrase, &proxy).await?;
        let seen = Arc::new(Seen::default());
        let player = Self {
            name,
            proxy,
            started_in: begin.elapsed(),
            seen,
            home,
            passphrase,
            child,
            client: watch::Sender::new(None),
        };
        player.attach(client).await?;
        Ok(player)
    }

    /// Calls a method of the running node.
    pub(super) async fn call<M: Method>(&self, params: M::Params) -> Result<M::Result, Failure> {
        Ok(self.link().current().await?.call::<M>(&params).await?)
    }

    /// Writes a letter and waits until it is delivered.
    pub(super) async fn tell(&self, whom: &str, body: Body) -> Result<LetterId, Failure> {
        let params = SendLetter { to: ContactRef(whom.to_owned()), id: None, body };
        let sent = self.call::<LettersSend>(params).await?;
        self.seen.delivered(sent.id).await?;
        Ok(sent.id)
    }

    /// One letter of a conversation.
    pub(super) async fn letter(&self, whom: &str, id: LetterId) -> Result<Entry, Failure> {
        let missing = || Failure::new(ErrorKind::Internal, format!("{} does not have a letter", self.name));
        self.letters(whom).await?.into_iter().find(|entry| entry.id == id).ok_or_else(missing)
    }

    /// All letters of a conversation.
    pub(super) async fn letters(&self, whom: &str) -> Result<Vec<Entry>, Failure> {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let params = HistoryParams { contact: ContactRef(whom.to_owned()), before, limit: Some(500) };
            let page = self.call::<LettersHistory>(params).await?;
            before = page.entries.iter().map(|entry| entry.seq).min();
            if before.is_none() {
                return Ok(all);
            }
            all.extend(page.entries);
        }
    }

    /// Kills the node without a warning and starts it again.
    pub(super) async fn kill_and_restart(&mut self, whom: &str) -> Result<(), Failure> {
        self.leave();
        let killed = self.child.kill().await;
        killed.map_err(|error| Failure::new(ErrorKind::Environment, format!("cannot kill: {error}")))?;
        self.come_back(whom).await
    }

    /// Ends the node cleanly.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        self.call::<NodeStop>(Nothing {}).await?;
        self.leave();
        let ended = timeout(PATIENCE, self.child.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            _ => Err(Failure::new(ErrorKind::Internal, format!("{}'s node did not stop cleanly", self.name))),
        }
    }

    /// Starts the node again after it has ended.
    pub(super) async fn come_back(&mut self, whom: &str) -> Result<(), Failure> {
        let (child, client) = launch(&self.home, &self.passphrase, &self.proxy).await?;
        self.child = child;
        self.attach(client).await?;
        // What was delivered while nobody listened.
        for entry in self.letters(whom).await? {
            if entry.direction == "out" && matches!(entry.state.as_str(), "delivered" | "read") {
                self.seen.put_delivered(entry.id);
            }
        }
        Ok(())
    }

    fn leave(&self) {
        self.proxy.point_at(None);
        self.client.send_replace(None);
    }

    /// Uses a relay, and waits until it keeps a mailbox.
    pub(super) async fn use_relay(&self, address: &str) -> Result<(), Failure> {
        self.call::<ServersAdd>(AddServer { server: address.to_owned() }).await?;
        let late = || Failure::new(ErrorKind::Unreachable, format!("{} cannot use the relay", self.name));
        let accepted = async {
            loop {
                let all = self.call::<ServersList>(Nothing {}).await?;
                if all.iter().all(|server| server.state == "ready" && server.published) {
                    return Ok(());
                }
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, accepted).await.map_err(|_| late())?
    }

    /// By which path a contact answers now: `direct`, `relay` or `none`.
    pub(super) async fn path_to(&self, whom: &str) -> Result<String, Failure> {
        let params = PingParams { contact: ContactRef(whom.to_owned()), timeout_ms: None };
        Ok(self.call::<NodePing>(params).await?.path)
    }

    /// Whether a letter was at a relay on its way.
    pub(super) async fn went_by_relay(&self, letter: LetterId) -> Result<bool, Failure> {
        let trace = self.call::<LettersTrace>(LetterParams { letter }).await?;
        Ok(trace.steps.iter().any(|step| step.what.starts_with("stored at relay")))
    }

    /// For those who go on over a restart.
    pub(super) fn link(&self) -> Link {
        Link(self.client.subscribe())
    }

    async fn attach(&self, client: Client) -> Result<(), Failure> {
        let mut events = client.events().await?;
        let seen = self.seen.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                seen.take(event);
            }
        });
        self.client.send_replace(Some(Arc::new(client)));
        Ok(())
    }
}

/// The way to a node that may be dead for a moment.
#[derive(Clone)]
pub(super) struct Link(watch::Receiver<Option<Arc<Client>>>);

impl Link {
    /// The connection to the node, once it lives.
    pub(super) async fn current(&mut self) -> Result<Arc<Client>, Failure> {
        let dead = || Failure::new(ErrorKind::Unreachable, "a node does not come back");
        let client = timeout(PATIENCE, self.0.wait_for(Option::is_some)).await.map_err(|_| dead())?;
        client.map_err(|_| dead())?.clone().ok_or_else(dead)
    }

    /// Waits until the connection is another one than this.
    pub(super) async fn replaced(&mut self, old: &Arc<Client>) {
        let other = |now: &Option<Arc<Client>>| !now.as_ref().is_some_and(|now| Arc::ptr_eq(now, old));
        let _ = timeout(PATIENCE, self.0.wait_for(other)).await;
    }
}

fn command(home: &Path, passphrase: &str) -> Result<Command, Failure> {
    let mut command = program(home)?;
    command.env("WAYPOST_PASSPHRASE", passphrase);
    Ok(command)
}

/// Starts a node, points the proxy at it, and connects to its socket.
async fn launch(home: &Path, passphrase: &str, proxy: &Proxy) -> Result<(Child, Client), Failure> {
    let failed = |what: &str| Failure::new(ErrorKind::Environment, format!("a node did not start: {what}"));
    let advertise = proxy.address.to_string();
    let mut child = command(home, passphrase)?
        .args(["up", "--json", "--listen", "127.0.0.1:0", "--advertise", &advertise])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error.to_string()))?;
    let stdout = child.stdout.take().ok_or_else(|| failed("it has no output"))?;
    let line = timeout(PATIENCE, BufReader::new(stdout).lines().next_line()).await;
    let Ok(Ok(Some(line))) = line else { return Err(failed("it was never ready")) };
    let ready: Ready = serde_json::from_str(&line).map_err(|error| failed(&error.to_string()))?;
    proxy.point_at(ready.listening.first().copied());
    Ok((child, Client::connect(&ready.socket).await?))
}

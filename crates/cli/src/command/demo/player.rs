//! One of the two people: a node in a process of its own, behind its proxy.

use super::{PATIENCE, proxy::Proxy};
use crate::failure::Failure;
use serde::Deserialize;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;
use waypost_api::Client;
use waypost_core::{Body, ErrorKind, LetterId};
use waypost_node::method::{
    ContactRef, Entry, HistoryParams, LettersHistory, LettersSend, NodeStop, Nothing, SendLetter,
};
use waypost_node::{Event, Method};

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

/// What the events of a node told, over all its lives.
pub(super) struct Seen {
    state: Mutex<SeenState>,
    /// Counts changes.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct SeenState {
    delivered: HashMap<LetterId, Instant>,
    failed: Vec<LetterId>,
    shown: HashMap<LetterId, u32>,
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
        let mut init = command(&home, &passphrase)?;
        let made = init.args(["init", "--json", "--name", name]).stdout(Stdio::null()).status().await;
        if !made.is_ok_and(|status| status.success()) {
            return Err(Failure::new(ErrorKind::Environment, format!("{name}'s identity could not be made")));
        }
        let begin = Instant::now();
        let (child, client) = launch(&home, &passphrase, &proxy).await?;
        let seen = Arc::new(Seen { state: Mutex::default(), changes: watch::Sender::new(0) });
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
        self.proxy.point_at(None);
        self.client.send_replace(None);
        let killed = self.child.kill().await;
        killed.map_err(|error| Failure::new(ErrorKind::Environment, format!("cannot kill: {error}")))?;
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

    /// Ends the node cleanly.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        self.call::<NodeStop>(Nothing {}).await?;
        let ended = timeout(PATIENCE, self.child.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            _ => Err(Failure::new(ErrorKind::Internal, format!("{}'s node did not stop cleanly", self.name))),
        }
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

impl Seen {
    fn take(&self, event: Event) {
        match event {
            Event::State { letter, state, .. } if matches!(state.as_str(), "delivered" | "read") => {
                self.put_delivered(letter);
            }
            Event::State { letter, state, .. } if state == "failed" => {
                self.lock().failed.push(letter);
                self.changes.send_modify(|count| *count += 1);
            }
            Event::Letter { entry, new: true } if entry.direction == "in" => {
                *self.lock().shown.entry(entry.id).or_default() += 1;
            }
            _ => {}
        }
    }

    fn put_delivered(&self, letter: LetterId) {
        self.lock().delivered.entry(letter).or_insert_with(Instant::now);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Waits until a letter is delivered; says when it was.
    pub(super) async fn delivered(&self, letter: LetterId) -> Result<Instant, Failure> {
        let mut changes = self.changes.subscribe();
        let waiting = async {
            loop {
                {
                    let state = self.lock();
                    if let Some(at) = state.delivered.get(&letter) {
                        return Ok(*at);
                    }
                    if state.failed.contains(&letter) {
                        return Err(Failure::new(ErrorKind::Internal, "a letter has failed"));
                    }
                }
                if changes.changed().await.is_err() {
                    return Err(Failure::new(ErrorKind::Internal, "nobody listens any more"));
                }
            }
        };
        let late = || Failure::new(ErrorKind::Unreachable, "a letter is not delivered in time");
        timeout(PATIENCE, waiting).await.map_err(|_| late())?
    }

    /// How often a letter was shown as new.
    pub(super) fn times_shown(&self, letter: LetterId) -> u32 {
        self.lock().shown.get(&letter).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, SeenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn command(home: &Path, passphrase: &str) -> Result<Command, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(ErrorKind::Environment, format!("cannot find this program: {error}")))?;
    let mut command = Command::new(program);
    command.env("WAYPOST_HOME", home).env("WAYPOST_PASSPHRASE", passphrase).stdin(Stdio::null()).kill_on_drop(true);
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

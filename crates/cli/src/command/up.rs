//! `waypost up`: the node of a data folder, for as long as it runs.

use crate::args::Up;
use crate::context::Context;
use crate::failure::Failure;
use crate::session::daemon;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use waypost_api::Server;
use waypost_core::ErrorKind;
use waypost_node::{Home, Node};

/// Longer than any write to a disk takes.
const STOP_TIME: Duration = Duration::from_secs(30);

/// What is told when all is bound.
#[derive(Serialize)]
struct Ready {
    event: &'static str,
    listening: Vec<SocketAddr>,
    socket: PathBuf,
    http: Option<SocketAddr>,
    pid: u32,
}

/// Runs the node until a signal, or until a program stops it.
pub(crate) async fn run(context: &Context, args: Up) -> Result<(), Failure> {
    context.check_initialised()?;
    let lock = match context.home.lock() {
        Ok(lock) => lock,
        Err(error) => {
            let running = daemon(context).await?.is_some();
            let hint = if running { "`waypost status` shows how it is" } else { "wait for it to end, or end it" };
            return Err(Failure::from(error).or_hint(hint));
        }
    };
    let mut config = context.config()?;
    if !args.addresses.listen.is_empty() {
        config.sremp.listen = args.addresses.listen;
    }
    if !args.addresses.advertise.is_empty() {
        config.sremp.advertise = args.addresses.advertise;
    }
    let http = args.http.or(config.api.http);
    let keys = context.secrets.unlock(&context.home)?;
    let mut signals = Signals::new()?;
    let node = Node::start(&context.home, lock, keys, config)
        .await
        .map_err(|error| Failure::from(error).or_hint("`waypost doctor` looks for what is wrong"))?;
    let ended = serve(context, &node, http, &mut signals).await;
    node.stop();
    match timeout(STOP_TIME, node.stopped()).await {
        Ok(()) => ended,
        Err(_) => Err(Failure::new(ErrorKind::Internal, "the node does not stop; what it promised is on disk")),
    }
}

async fn serve(context: &Context, node: &Node, http: Option<SocketAddr>, signals: &mut Signals) -> Result<(), Failure> {
    let server = Server::start(node.clone(), &context.home, http).await?;
    let ready = Ready {
        event: "ready",
        listening: node.listening().to_vec(),
        socket: context.home.socket(),
        http: server.http(),
        pid: std::process::id(),
    };
    announce(context, &ready)?;
    tokio::select! {
        () = signals.next() => {}
        () = node.stopped() => {}
    }
    context.output.talk("stopping");
    server.stop().await;
    Ok(())
}

/// One line, on stdout as JSON or on stderr as text. A launcher that has closed its end is no reason to stop.
fn announce(context: &Context, ready: &Ready) -> Result<(), Failure> {
    if context.output.is_json() {
        return match context.output.json(ready) {
            Err(Failure::Pipe) => Ok(()),
            other => other,
        };
    }
    let listening: Vec<String> = ready.listening.iter().map(ToString::to_string).collect();
    let listening = if listening.is_empty() { "nowhere".to_owned() } else { listening.join(", ") };
    let http = ready.http.map(|address| format!(", http on {address} (token in {})", token(&context.home)));
    context.output.talk(&format!("ready: listening on {listening}{}", http.unwrap_or_default()));
    Ok(())
}

fn token(home: &Home) -> String {
    home.token().display().to_string()
}

/// What asks a daemon to end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Failure> {
        let open = |kind| {
            signal(kind)
                .map_err(|error| Failure::new(ErrorKind::Environment, format!("cannot wait for signals: {error}")))
        };
        Ok(Self { interrupt: open(SignalKind::interrupt())?, terminate: open(SignalKind::terminate())? })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

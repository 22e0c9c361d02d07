//! `waypost serve`: an operator's roles, for as long as they run.

use crate::args::Serve;
use crate::command::up::Signals;
use crate::context::Context;
use crate::failure::Failure;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use waypost_core::HasKind;
use waypost_server::config::TEMPLATE;
use waypost_server::{Config, Data, Facts, Role, RoleFacts, Server};

/// What is told when all roles listen.
#[derive(Serialize)]
struct Ready<'a> {
    event: &'static str,
    #[serde(flatten)]
    facts: &'a Facts,
    data: PathBuf,
    pid: u32,
}

/// Serves until a signal.
pub(crate) async fn run(context: &Context, args: Serve) -> Result<(), Failure> {
    if args.print_config {
        return context.output.text(TEMPLATE);
    }
    let mut config = match &args.config {
        Some(path) => Config::load(path).map_err(failure)?,
        None => Config::default(),
    };
    if let Some(advertise) = args.advertise {
        config.advertise = advertise;
    }
    let named = args.roles.iter().map(|role| role.parse::<Role>()).collect::<Result<BTreeSet<_>, _>>();
    let named = named.map_err(failure)?;
    let roles = if named.is_empty() { config.roles.clone() } else { named };
    let folder = match (args.data, config.data.as_os_str().is_empty()) {
        (Some(folder), _) => folder,
        (None, false) => config.data.clone(),
        (None, true) => context.home.folder().join("server"),
    };
    let data = Data::open(&folder).map_err(failure)?;
    let mut signals = Signals::new()?;
    let server = Server::start(&config, &roles, &data).await.map_err(failure)?;
    announce(context, server.facts(), folder)?;
    signals.next().await;
    context.output.talk("stopping");
    server.stop().await.map_err(failure)
}

/// One line of JSON on stdout, or text on stderr. A launcher that has closed its end is no reason to stop.
fn announce(context: &Context, facts: &Facts, data: PathBuf) -> Result<(), Failure> {
    if context.output.is_json() {
        let ready = Ready { event: "ready", facts, data, pid: std::process::id() };
        return match context.output.json(&ready) {
            Err(Failure::Pipe) => Ok(()),
            other => other,
        };
    }
    let talk = |text: String| context.output.talk(&text);
    for (name, role) in [("relay", &facts.relay), ("rendezvous", &facts.rendezvous)] {
        let Some(RoleFacts { listening, address }) = role else { continue };
        let listening: Vec<String> = listening.iter().map(ToString::to_string).collect();
        talk(format!("{name}: listening on {}", listening.join(", ")));
        talk(format!("  people use it with:  waypost server add '{address}'"));
    }
    if let Some(address) = facts.metrics {
        talk(format!("metrics: http://{address}/metrics"));
    }
    talk(format!("data in {}; Ctrl-C stops it", data.display()));
    Ok(())
}

fn failure(error: waypost_server::Error) -> Failure {
    let hint = match &error {
        waypost_server::Error::Config(_) => "`waypost serve --print-config` shows all settings",
        waypost_server::Error::Net(_) => "choose another `listen` address in the settings, or stop what uses it",
        waypost_server::Error::Mailbox(_) => "is another `waypost serve` running with the same data folder?",
        _ => "look at the data folder and its disk",
    };
    Failure::new(error.kind(), error.to_string()).or_hint(hint)
}

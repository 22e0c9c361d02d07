//! `waypost server`: the relays and rendezvous servers of the person.

use crate::args::ServerCommand;
use crate::command::with_session;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Table, clean_line, day_and_time};
use crate::session::{Network, Session, daemon};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use waypost_api::Client;
use waypost_core::ErrorKind;
use waypost_node::method::{
    AddServer, Nothing, ServerInfo, ServerParams, ServerTest, ServersAdd, ServersList, ServersRemove, ServersSuggested,
    ServersTest,
};

/// Between two looks at a server that was just added.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) async fn run(context: &Context, command: ServerCommand) -> Result<(), Failure> {
    match command {
        ServerCommand::Add { server, wait } => add(context, server, Duration::from_secs(wait)).await,
        ServerCommand::List { suggested: false } => list(context).await,
        ServerCommand::List { suggested: true } => suggested(context).await,
        ServerCommand::Remove(which) => remove(context, which.server).await,
        ServerCommand::Test(which) => test(context, which.server).await,
    }
}

async fn add(context: &Context, server: String, wait: Duration) -> Result<(), Failure> {
    let added = with_session(context, Network::Dial, async |session| {
        let added = session.call::<ServersAdd>(AddServer { server }).await?;
        settled(session, added, wait).await
    });
    let added = added.await?;
    context.output.result(&added, |info| format!("{}\n{}", clean_line(&info.server), state_text(info)))?;
    match added.state.as_str() {
        "refused" => Err(Failure::Told(Exit::Failed)),
        _ => Ok(()),
    }
}

/// Waits until a server that was added works or says no.
async fn settled(session: &Session, mut info: ServerInfo, wait: Duration) -> Result<ServerInfo, Failure> {
    let deadline = Instant::now() + wait;
    while info.state == "connecting" && Instant::now() < deadline {
        sleep(LOOK).await;
        let all = session.call::<ServersList>(Nothing {}).await?;
        info = all.into_iter().find(|other| other.server == info.server).unwrap_or(info);
    }
    Ok(info)
}

async fn list(context: &Context) -> Result<(), Failure> {
    let all = with_session(context, Network::Off, async |session| session.call::<ServersList>(Nothing {}).await);
    context.output.result(&all.await?, |all| {
        if all.is_empty() {
            return "no servers; `waypost server add` adds one\n".to_owned();
        }
        let mut table = Table::new(["kind", "state", "since", "server"]);
        for info in all {
            let since = info.since.map(day_and_time).unwrap_or_default();
            table.row([info.kind.clone(), state_name(info).to_owned(), since, clean_line(&info.server)]);
        }
        table.text()
    })
}

async fn suggested(context: &Context) -> Result<(), Failure> {
    let Some(client) = daemon(context).await? else { return Err(not_running(context)) };
    let all = client.call::<ServersSuggested>(&Nothing {}).await?;
    context.output.result(&all, |all| {
        if all.is_empty() {
            return "your rendezvous servers named no others\n".to_owned();
        }
        let mut table = Table::new(["name", "server", "named by"]);
        for one in all {
            let name = one.name.as_deref().map(clean_line).unwrap_or_default();
            table.row([name, clean_line(&one.server), clean_line(&one.named_by)]);
        }
        table.text()
    })
}

async fn remove(context: &Context, server: String) -> Result<(), Failure> {
    let done = with_session(context, Network::Dial, async |session| {
        session.call::<ServersRemove>(ServerParams { server }).await
    });
    context.output.result(&done.await?, |_| "removed; your contacts learn of it with your next connection\n".to_owned())
}

async fn test(context: &Context, server: String) -> Result<(), Failure> {
    let found = with_session(context, Network::Dial, async |session| {
        session.call::<ServersTest>(ServerParams { server }).await
    });
    let found = found.await?;
    context.output.result(&found, test_text)?;
    if found.works { Ok(()) } else { Err(Failure::Told(Exit::Unreachable)) }
}

/// Tests all servers of a running node, one after the other.
pub(crate) async fn test_servers(client: &Client) -> Result<Vec<ServerTest>, Failure> {
    let mut tests = Vec::new();
    for info in client.call::<ServersList>(&Nothing {}).await? {
        tests.push(client.call::<ServersTest>(&ServerParams { server: info.server }).await?);
    }
    Ok(tests)
}

pub(crate) fn test_text(test: &ServerTest) -> String {
    let took = test.took_ms.map(|took| format!(" ({took} ms)")).unwrap_or_default();
    let mut text = format!("{}: {}{took}\n", clean_line(&test.server), clean_line(&test.text));
    if let Some(advice) = &test.advice {
        text.push_str(&format!("  -> {}\n", clean_line(advice)));
    }
    text
}

fn state_name(info: &ServerInfo) -> &str {
    if info.state.is_empty() { "not running" } else { &info.state }
}

fn state_text(info: &ServerInfo) -> String {
    let text = match info.state.as_str() {
        "ready" if info.kind == "relay" => {
            "It keeps letters for you from now on; your contacts are told. It sees who writes to you and when, never what."
        }
        "ready" => "Your contacts can find you by it from now on. It sees where you are and who looks for you.",
        "refused" => "It cannot be used:",
        _ => "It has not answered yet; it is tried again by itself.",
    };
    match &info.detail {
        Some(detail) => format!("{text} {}\n", clean_line(detail)),
        None => format!("{text}\n"),
    }
}

/// What is needed of a node for a question about the network.
pub(crate) fn not_running(context: &Context) -> Failure {
    let message = format!("no node is running in {}", context.home.folder().display());
    Failure::new(ErrorKind::Unreachable, message).or_hint("start it with `waypost up`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use waypost_core::Wall;

    /// SR-4.2b, SR-9.3
    #[test]
    fn who_adds_a_server_is_told_what_it_sees() {
        for (kind, sees) in [("relay", "who writes to you"), ("rendezvous", "who looks for you")] {
            let info = ServerInfo {
                server: String::new(),
                kind: kind.to_owned(),
                origin: "user".to_owned(),
                added: Wall::default(),
                published: true,
                state: "ready".to_owned(),
                detail: None,
                since: None,
            };
            assert!(state_text(&info).contains(sees), "{kind}");
        }
    }
}

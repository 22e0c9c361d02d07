//! `waypost netcheck` and `waypost ping`: which paths work now.

use crate::args::Ping;
use crate::command::server::{not_running, test_servers, test_text};
use crate::command::with_session;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Table, clean_line};
use crate::session::{Network, daemon};
use serde::Serialize;
use waypost_node::method::{ContactRef, ContactsList, IdentityShow, NodePing, Nothing, PingParams, Pong, ServerTest};

/// How long each contact may take.
const EACH_MS: u64 = 7_000;

/// What was found.
#[derive(Serialize)]
struct Found {
    reachable_at: Vec<String>,
    servers: Vec<ServerTest>,
    contacts: Vec<Reach>,
}

#[derive(Serialize)]
struct Reach {
    name: String,
    #[serde(flatten)]
    pong: Pong,
}

/// Tests all servers and the path to each contact.
pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    context.check_initialised()?;
    let Some(client) = daemon(context).await? else { return Err(not_running(context)) };
    let identity = client.call::<IdentityShow>(&Nothing {}).await?;
    let servers = test_servers(&client).await?;
    let mut contacts = Vec::new();
    for contact in client.call::<ContactsList>(&Nothing {}).await? {
        if contact.status != "contact" {
            continue;
        }
        let params = PingParams { contact: ContactRef(contact.contact.to_string()), timeout_ms: Some(EACH_MS) };
        contacts.push(Reach { name: contact.name, pong: client.call::<NodePing>(&params).await? });
    }
    let reachable_at = identity.addresses.iter().map(ToString::to_string).collect();
    context.output.result(&Found { reachable_at, servers, contacts }, text)
}

fn text(found: &Found) -> String {
    let mut text = String::new();
    for address in &found.reachable_at {
        text.push_str(&format!("Your card says: {}\n", clean_line(address)));
    }
    if found.reachable_at.is_empty() {
        text.push_str("Your card names no address: add a relay, or set sremp.advertise.\n");
    }
    found.servers.iter().for_each(|test| text.push_str(&test_text(test)));
    if found.servers.is_empty() {
        text.push_str("You use no servers: nobody can leave letters while you are away.\n");
    }
    let mut table = Table::new(["contact", "path", "by", "time"]);
    for reach in &found.contacts {
        let pong = &reach.pong;
        let took = pong.took_ms.map(|took| format!("{took} ms")).unwrap_or_default();
        let via = pong.via.as_deref().map(clean_line).unwrap_or_default();
        table.row([clean_line(&reach.name), pong.path.clone(), via, took]);
    }
    if !found.contacts.is_empty() {
        text.push_str(&table.text());
    }
    text
}

/// Names the path to one contact.
pub(crate) async fn ping(context: &Context, args: Ping) -> Result<(), Failure> {
    let pong = with_session(context, Network::Dial, async |session| {
        let params =
            PingParams { contact: ContactRef(args.who.contact), timeout_ms: Some(args.wait.saturating_mul(1000)) };
        session.call::<NodePing>(params).await
    });
    let pong = pong.await?;
    context.output.result(&pong, |pong| {
        let via = pong.via.as_deref().map(|via| format!(" by {}", clean_line(via))).unwrap_or_default();
        let took = pong.took_ms.map(|took| format!(" in {took} ms")).unwrap_or_default();
        format!("{}{via}{took}: {}\n", pong.path, clean_line(&pong.text))
    })?;
    if pong.path == "none" { Err(Failure::Told(Exit::Unreachable)) } else { Ok(()) }
}

//! `waypost demo`: two nodes and a relay in processes of their own talk through recording proxies, one
//! after the other is killed in the middle, and everything that was promised is checked.

mod away;
mod bulk;
mod detour;
mod player;
mod proxy;
mod relay;
mod report;
mod seen;
mod tally;

use crate::args::Demo;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use player::Player;
use relay::Relay;
use report::Report;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tally::Tally;
use tempfile::TempDir;
use tokio::process::Command;
use waypost_core::{Body, ErrorKind, LetterId};
use waypost_node::method::{
    AddContact, CardParams, CardShow, ContactParams, ContactRef, ContactsAdd, ContactsVerification, ContactsVerify,
    VerifyContact,
};

/// No single step takes so long on a healthy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Letters that are left at the relay.
const LETTERS_AWAY: usize = 500;

/// Plays it, and fails if anything was lost, shown twice or readable.
pub(crate) async fn run(context: &Context, args: Demo) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(ErrorKind::Environment, format!("no temporary folder: {error}"));
    let folder = tempfile::Builder::new().prefix("waypost-demo-").tempdir().map_err(failed)?;
    let played = play(context, &args, folder.path()).await;
    let kept = keep(folder, args.keep || played.is_err());
    let mut report = played.map_err(|failure| match &kept {
        Some(path) => failure.or_hint(&format!("the data folders are left in {path}")),
        None => failure,
    })?;
    report.folder = kept;
    let passed = report.passed;
    context.output.result(&report, Report::text)?;
    if passed { Ok(()) } else { Err(Failure::Told(Exit::Failed)) }
}

fn keep(folder: TempDir, keep: bool) -> Option<String> {
    keep.then(|| folder.keep().display().to_string())
}

async fn play(context: &Context, args: &Demo, folder: &Path) -> Result<Report, Failure> {
    let (output, begun) = (context.output, Instant::now());
    let mut report = Report::default();
    // In every text: what must not be found anywhere but on the two screens.
    let marker = format!("lantern-{:032x}", rand::random::<u128>());

    output.talk("Making two identities and starting two nodes ...");
    let (mut alice, mut bob) = tokio::try_join!(Player::start("Alice", folder), Player::start("Bob", folder))?;
    report.start_ms = millis(alice.started_in.max(bob.started_in));

    output.talk("Exchanging cards and comparing numbers ...");
    let first = Instant::now();
    acquaint(&alice, &bob).await?;
    let hello = alice.tell("Bob", Body::Text { text: format!("{marker} hello Bob") }).await?;
    report.first_letter_ms = millis(first.elapsed());
    verify(&alice, &bob).await?;

    output.talk("A conversation: a text, a reply, a reaction, an edit ...");
    converse(&alice, &bob, &marker, hello).await?;
    report.conversation = 5;

    output.talk(&format!("{} letters in bulk; both nodes are killed and restarted meanwhile ...", args.letters));
    let bulk = bulk::run(output, &mut alice, &mut bob, args.letters, &marker).await?;
    report.take_bulk(&bulk);

    output.talk("Starting a relay; both use it. Its limits are raised: by default a sender may leave 60 letters a");
    output.talk("minute and have 100 waiting, and the rest would wait on Alice's machine ...");
    let mut relay = Relay::start(folder).await?;
    let (away, while_away) = away::run(output, &alice, &mut bob, &mut relay, &marker).await?;
    report.away = away;
    let (detour, (of_alice, of_bob)) = detour::run(output, &mut alice, &mut bob, &marker).await?;
    report.detour = detour;

    output.talk("Checking ...");
    let (to_bob, to_alice) = (Tally::read(&alice, &bob).await?, Tally::read(&bob, &alice).await?);
    let counts = [to_bob.count(&bulk.ids), to_bob.count(&while_away), to_bob.count(&of_alice), to_alice.count(&of_bob)];
    let names = [
        "the letters in bulk",
        "the letters to Bob while away",
        "Alice's letters by the relay",
        "Bob's letters by the relay",
    ];
    for (count, name) in counts.iter().zip(names) {
        count.failure(name).into_iter().for_each(|failure| report.fail(failure));
    }
    let [of_bulk, of_away, from_alice, from_bob] = &counts;
    report.take_count(of_bulk);
    report.away.take(of_away);
    report.detour.take(from_alice);
    report.detour.take(from_bob);
    report.detour.failures().into_iter().for_each(|failure| report.fail(failure));
    let proxies = [&alice.proxy, &bob.proxy, &relay.proxy];
    report.recorded_bytes = proxies.iter().map(|proxy| proxy.bytes()).sum();
    if proxies.iter().any(|proxy| proxy.holds(&marker)) {
        report.plaintext_found = true;
        report.fail("a plaintext was found in what went over the network".into());
    }
    alice.stop().await?;
    bob.stop().await?;
    relay.kill().await?;
    report.check_folders(folder, &marker)?;
    report.took_ms = millis(begun.elapsed());
    report.finish();
    Ok(report)
}

/// Each adds the other by a card with an invite.
async fn acquaint(alice: &Player, bob: &Player) -> Result<(), Failure> {
    for (giver, taker) in [(alice, bob), (bob, alice)] {
        let card = giver.call::<CardShow>(CardParams { invite: true }).await?;
        taker.call::<ContactsAdd>(AddContact { card: card.link, name: Some(giver.name.into()) }).await?;
    }
    Ok(())
}

/// Both sides must see one number; each confirms what the other shows.
async fn verify(alice: &Player, bob: &Player) -> Result<(), Failure> {
    let number = async |of: &Player, whom: &str| {
        let contact = ContactRef(whom.to_owned());
        of.call::<ContactsVerification>(ContactParams { contact }).await.map(|it| it.number)
    };
    let (ours, theirs) = (number(alice, "Bob").await?, number(bob, "Alice").await?);
    if ours != theirs {
        return Err(Failure::new(ErrorKind::Security, "the two sides see different numbers"));
    }
    for (who, whom, heard) in [(alice, "Bob", theirs), (bob, "Alice", ours)] {
        let params = VerifyContact { contact: ContactRef(whom.into()), number: Some(heard), qr: None };
        who.call::<ContactsVerify>(params).await?;
    }
    Ok(())
}

async fn converse(alice: &Player, bob: &Player, marker: &str, hello: LetterId) -> Result<(), Failure> {
    let text = |what: &str| format!("{marker} {what}");
    bob.tell("Alice", Body::Text { text: text("hello Alice") }).await?;
    bob.tell("Alice", Body::Reply { to: hello, text: text("an answer") }).await?;
    bob.tell("Alice", Body::Reaction { to: hello, emoji: "\u{1f44d}".into() }).await?;
    alice.tell("Bob", Body::Edit { to: hello, text: text("hello dear Bob") }).await?;
    let seen_by_bob = bob.letter("Alice", hello).await?;
    let seen_by_alice = alice.letter("Bob", hello).await?;
    if seen_by_bob.edited != Some(text("hello dear Bob")) {
        return Err(Failure::new(ErrorKind::Internal, "Bob does not see the edit"));
    }
    if seen_by_alice.reactions.len() != 1 {
        return Err(Failure::new(ErrorKind::Internal, "Alice does not see the reaction"));
    }
    Ok(())
}

/// This program, for one with this data folder.
fn program(home: &Path) -> Result<Command, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(ErrorKind::Environment, format!("cannot find this program: {error}")))?;
    let mut command = Command::new(program);
    command.env("WAYPOST_HOME", home).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

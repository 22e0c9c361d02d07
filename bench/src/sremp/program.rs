//! The program as people run it: how soon it is there, how much memory it takes, how large it is.

mod daemon;

use super::letters::{Person, call, text, until};
use crate::{
    binary,
    measure::{as_f64, median},
    progress,
    report::{Aim, Row},
};
use anyhow::{Context, Result, ensure};
use daemon::Daemon;
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};
use waypost_api::Client;
use waypost_core::Body;
use waypost_node::{
    Event, Node,
    method::{CardParams, CardShow, ContactRef, ContactsList, LettersSend, NodeStop, Nothing, SendLetter},
};

const STARTS: usize = 9;
const MIB: f64 = 1024.0 * 1024.0;

pub(super) fn rows(folder: &Path, binary: Option<&Path>, notes: &mut Vec<String>) -> Result<Vec<Row>> {
    const GROUP: &str = "the program, a folder without passphrase";
    let binary = binary::given_or_built(binary)?;
    progress("the program: starts and memory");
    let life = tokio::runtime::Runtime::new()?.block_on(run(folder, &binary))?;
    let mut rows = vec![
        Row::alone(GROUP, "start to ready", "ms", median(life.ready)).aim(Aim::Below(150.0)),
        Row::alone(GROUP, "start to ready, processor time", "ms", median(life.processor)),
        Row::alone(GROUP, "start to first letter delivered", "ms", median(life.first_letter)),
        Row::alone(GROUP, "memory of an idle node, resident", "MiB", life.idle).aim(Aim::Below(30.0)),
        Row::alone(GROUP, "its peak, when the keyring was opened", "MiB", life.peak),
        Row::alone(GROUP, "size of the program", "MiB", as_f64(fs::metadata(&binary)?.len()) / MIB),
    ];
    match stripped(folder, &binary) {
        Ok(size) => rows.push(Row::alone(GROUP, "size of the program, stripped", "MiB", as_f64(size) / MIB)),
        Err(error) => notes.push(format!("the program could not be stripped: {error:#}")),
    }
    Ok(rows)
}

fn stripped(folder: &Path, binary: &Path) -> Result<u64> {
    let to = folder.join("stripped");
    let done = Command::new("strip").arg("-o").arg(&to).arg(binary).stderr(Stdio::null()).status()?;
    ensure!(done.success(), "strip failed");
    Ok(fs::metadata(to)?.len())
}

/// What was seen of the program; times in milliseconds, one a start, memory in MiB.
#[derive(Default)]
struct Life {
    ready: Vec<f64>,
    processor: Vec<f64>,
    first_letter: Vec<f64>,
    idle: f64,
    peak: f64,
}

async fn run(folder: &Path, binary: &Path) -> Result<Life> {
    let home = folder.join("program");
    Daemon::init(binary, &home).await?;
    let friend = Person::start(folder, "friend").await?;
    let (daemon, _) = Daemon::start(binary, &home).await?;
    befriend(&daemon, &friend.node, &friend.id).await?;
    stop(daemon).await?;

    let mut life = Life::default();
    for _ in 0..STARTS {
        let (daemon, ready) = Daemon::start(binary, &home).await?;
        life.ready.push(ready.as_secs_f64() * 1000.0);
        life.processor.push(daemon.processor_time().map_or(f64::NAN, |took| took.as_secs_f64() * 1000.0));
        write(&daemon, &friend.id).await?;
        life.first_letter.push(daemon.since_start().as_secs_f64() * 1000.0);
        stop(daemon).await?;
    }
    let (daemon, _) = Daemon::start(binary, &home).await?;
    (life.idle, life.peak) = daemon.memory_when_steady().await?;
    stop(daemon).await?;
    friend.node.stop();
    friend.node.stopped().await;
    Ok(life)
}

async fn client(daemon: &Daemon) -> Result<Client> {
    Ok(Client::connect(daemon.socket()).await?)
}

/// The friend takes an invite; returns when letters flow.
async fn befriend(daemon: &Daemon, friend: &Node, friend_id: &str) -> Result<()> {
    let client = client(daemon).await?;
    let mut events = client.events().await?;
    let card = client.call::<CardShow>(&CardParams { invite: true }).await?;
    let added = call(friend, "contacts.add", json!({"card": card.link})).await?;
    ensure!(text(&added, "contact")? == card.card.contact.to_string(), "the card is of somebody else");
    until(async {
        while client.call::<ContactsList>(&Nothing {}).await?.is_empty() {
            events.next().await.context("the program has ended")?;
        }
        Ok(())
    })
    .await?;
    write(daemon, friend_id).await?;
    ensure!(call(friend, "letters.inbox", Value::Null).await?.get("entries").is_some(), "no letter arrived");
    Ok(())
}

/// Writes a letter and waits until it is delivered.
async fn write(daemon: &Daemon, to: &str) -> Result<()> {
    let client = client(daemon).await?;
    let mut events = client.events().await?;
    let body = Body::Text { text: "the first of this start".into() };
    let sent = client.call::<LettersSend>(&SendLetter { to: ContactRef(to.to_owned()), id: None, body }).await?;
    until(async {
        loop {
            match events.next().await.context("the program has ended")? {
                Event::State { letter, state, .. } if letter == sent.id && state == "delivered" => return Ok(()),
                _ => {}
            }
        }
    })
    .await
}

async fn stop(daemon: Daemon) -> Result<()> {
    client(&daemon).await?.call::<NodeStop>(&Nothing {}).await?;
    until(daemon.ended()).await
}

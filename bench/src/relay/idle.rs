//! Many connections of which hardly any does something.

use super::{
    link::{Person, RelayAt, RelayLink},
    waypost::Waypost,
};
use crate::{
    measure::{as_f64, quantile},
    progress,
    report::{Aim, Row},
};
use anyhow::{Context, Result, bail, ensure};
use futures::stream::{FuturesUnordered, StreamExt, TryStreamExt, iter};
use rand::{SeedableRng, rngs::StdRng};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{path::Path, time::Instant};
use waypost_sremp::{Message, message::StoreMessage};

/// Connections that are made at once; the server lets 64 of one network say who they are.
const AT_ONCE: usize = 32;
/// Times a letter is pushed.
const PUSHES: usize = 200;

pub(super) async fn rows(binary: &Path, folder: &Path, connections: usize) -> Result<Vec<Row>> {
    const GROUP: &str = "connections at rest, registered with push";
    progress(&format!("{connections} connections at rest"));
    raise_files(connections)?;
    let server = Waypost { binary, folder: folder.join("idle"), cache_mib: 4 };
    let running = server.start("relay")?;
    let (address, relay) = running.relay()?;
    let relay = RelayAt { address, identity: relay.identity };
    let mut rng = StdRng::from_rng(&mut rand::rng());

    let mut sender = person(relay, &mut rng).await?;
    let before = running.server.memory()?;
    let started = Instant::now();
    let mut people = Vec::new();
    for _ in 0..connections {
        people.push(Person::new(&mut rng)?);
    }
    let made = started.elapsed();
    let connect = async |person: Person| {
        let mut link = RelayLink::connect(relay, &person).await?;
        link.register(&person, true).await?;
        anyhow::Ok((person, link))
    };
    let started = Instant::now();
    let mut links: Vec<_> = iter(people).map(connect).buffer_unordered(AT_ONCE).try_collect().await?;
    let took = started.elapsed();
    progress(&format!("keys took {made:.1?}, connections {took:.1?}"));
    let after = running.server.memory()?;

    let (to, mut recipient) = links.pop().context("no connection")?;
    // The others answer when the server asks whether they are there.
    let mut others: FuturesUnordered<_> = links.into_iter().map(|(_, link)| link.idle()).collect();
    let pushes = async {
        let mut times = Vec::new();
        for id in 0..PUSHES as u64 {
            let letter = StoreMessage::signed(&relay.identity, &sender.0.signing, to.id(), id, vec![7; 256]);
            let sent = Instant::now();
            sender.1.send(letter.into())?;
            sender.1.flush().await?;
            let Message::MessageBatch(_) = recipient.next().await? else { bail!("something else was pushed") };
            times.push(sent.elapsed().as_secs_f64() * 1000.0);
            let Message::StoreResponse(response) = sender.1.next().await? else { bail!("no answer") };
            ensure!(response.success, "not stored");
        }
        Ok(times)
    };
    let times = tokio::select! {
        times = pushes => times?,
        Some(ended) = others.next() => { ended?; bail!("a connection ended") }
    };
    let all = as_f64(connections as u64);
    Ok(vec![
        Row::alone(GROUP, format!("{connections}: memory of the relay for each"), "KiB", (after - before) / all)
            .aim(Aim::Below(10.0)),
        Row::alone(GROUP, "memory of the relay before", "MiB", before / 1024.0),
        Row::alone(GROUP, "memory of the relay with all", "MiB", after / 1024.0),
        Row::alone(GROUP, "connected and registered", "/s", all / took.as_secs_f64()),
        Row::alone(GROUP, "a letter of 256 B sent until it is pushed, median", "ms", quantile(times.clone(), 0.5)),
        Row::alone(GROUP, "the same, 99 of 100", "ms", quantile(times, 0.99)),
    ])
}

async fn person(relay: RelayAt, rng: &mut StdRng) -> Result<(Person, RelayLink)> {
    let person = Person::new(rng)?;
    let mut link = RelayLink::connect(relay, &person).await?;
    link.register(&person, false).await?;
    Ok((person, link))
}

/// Every connection is an open file, here and in the server, which inherits the bound.
fn raise_files(connections: usize) -> Result<()> {
    let wanted = connections as u64 + 200;
    let bound = getrlimit(Resource::Nofile);
    if bound.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = bound.maximum.map(|maximum| maximum.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        .with_context(|| format!("{wanted} open files are not allowed: ulimit -n {wanted}, or --connections fewer"))
}

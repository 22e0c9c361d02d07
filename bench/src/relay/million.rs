//! A relay that keeps very much.

use super::{
    link::{Person, RelayAt, RelayLink},
    waypost::Waypost,
};
use crate::{
    measure::{as_f64, quantile},
    progress,
    report::{Aim, Row},
};
use anyhow::{Result, bail, ensure};
use futures::stream::{StreamExt, TryStreamExt, iter};
use rand::{SeedableRng, rngs::StdRng};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use waypost_core::{MailboxDone, MailboxId, MailboxOp, Put, Quota, Space, Terms};
use waypost_mailbox::{Config, Embedded, Mailbox};
use waypost_net::Clock;
use waypost_sremp::{Message, message::RetrieveMessages};

/// Letters of one mailbox.
const EACH: usize = 1000;
const BYTES: usize = 256;
/// Letters put in one batch, and batches under way: only to be quick.
const BATCH: usize = 250;
const AT_ONCE: usize = 16;
/// Mailboxes that are read.
const READ: usize = 100;

pub(super) async fn rows(binary: &Path, folder: &Path, letters: usize) -> Result<Vec<Row>> {
    const GROUP: &str = "many letters kept, 256 B each, 1,000 a mailbox";
    progress(&format!("{letters} letters are put into mailboxes"));
    let server = Waypost::new(binary, folder.join("million"));
    // The folder is there after a first start.
    server.start("relay")?.server.kill()?;
    let mut rng = StdRng::from_rng(&mut rand::rng());
    let owners = (0..letters.div_ceil(EACH)).map(|_| Person::new(&mut rng)).collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    let size = fill(&server.mailboxes(), &owners).await?;
    progress(&format!("filled in {:.1?}", started.elapsed()));

    let first = server.start("relay")?;
    let start = first.took;
    first.server.kill()?;
    let running = server.start("relay")?;
    let (address, relay) = running.relay()?;
    let relay = RelayAt { address, identity: relay.identity };
    let (mut registered, mut fetched) = (Vec::new(), Vec::new());
    let step = (owners.len() / READ).max(1);
    for owner in owners.iter().step_by(step) {
        let mut link = RelayLink::connect(relay, owner).await?;
        let started = Instant::now();
        link.register(owner, false).await?;
        registered.push(millis(started.elapsed()));
        for after in [0, 500] {
            let mut request = RetrieveMessages::after(after, &owner.signing, link.hash(), &relay.identity);
            request.limit = Some(64);
            let started = Instant::now();
            link.send(request.into())?;
            link.flush().await?;
            let Message::MessageBatch(batch) = link.next().await? else { bail!("no batch") };
            ensure!(batch.messages.len() == 64, "a batch of {}", batch.messages.len());
            fetched.push(millis(started.elapsed()));
        }
    }
    let mib = |bytes: u64| as_f64(bytes) / 1024.0 / 1024.0;
    Ok(vec![
        Row::alone(GROUP, format!("{letters}: start to ready"), "ms", millis(start)).aim(Aim::Below(1000.0)),
        Row::alone(GROUP, "start to ready after SIGKILL", "ms", millis(running.took)),
        Row::alone(GROUP, "RETRIEVE_MESSAGES of 64, median", "ms", quantile(fetched.clone(), 0.5)),
        Row::alone(GROUP, "the same, 99 of 100", "ms", quantile(fetched, 0.99)),
        Row::alone(GROUP, "RELAY_REGISTER, a durable write, median", "ms", quantile(registered, 0.5)),
        Row::alone(GROUP, "memory of the relay then", "MiB", running.server.memory()? / 1024.0),
        Row::alone(GROUP, "the file", "MiB", mib(size)),
    ])
}

/// Through the engine and not the relay, which would take minutes to check a million signatures; gives the size
/// of the file.
async fn fill(path: &Path, owners: &[Person]) -> Result<u64> {
    let engine = Embedded::open(path, Config::default())?;
    let now = Clock::start().now().wall;
    let terms = Terms {
        item_bytes: 65536,
        keep: Duration::from_secs(2_592_000),
        until: now.after(Duration::from_secs(7_776_000)),
    };
    let quota =
        Quota { item_bytes: 65536, items: u64::MAX, bytes: u64::MAX, from_items: u64::MAX, from_bytes: u64::MAX };
    let sender = [3; 32];
    // The form in which a relay keeps them: waypost_sremp::relay tells it.
    let put = |mailbox: &MailboxId, id: u64| {
        MailboxOp::Put(Put {
            mailbox: mailbox.clone(),
            key: [&id.to_be_bytes()[..], &sender].concat(),
            digest: [0; 32],
            from: sender.to_vec(),
            value: vec![7; BYTES],
            quota,
            remember: Duration::from_secs(2_592_000),
        })
    };
    let batches = owners.iter().flat_map(|owner| {
        let mailbox = MailboxId { space: Space("relay/mailbox"), owner: owner.id().as_bytes().to_vec() };
        (0..EACH.div_ceil(BATCH)).map(move |part| {
            let open = (part == 0).then(|| MailboxOp::Open { mailbox: mailbox.clone(), terms });
            let ids = (part * BATCH) as u64..((part + 1) * BATCH) as u64;
            open.into_iter().chain(ids.map(|id| put(&mailbox, id))).collect::<Vec<_>>()
        })
    });
    let commits = iter(batches).map(|batch| engine.commit(now, batch)).buffered(AT_ONCE);
    let done = |answers: Vec<MailboxDone>| async move {
        ensure!(!matches!(answers.last(), Some(MailboxDone::Refused(_)) | None), "the engine refused a letter");
        Ok(())
    };
    commits.map_err(anyhow::Error::from).try_for_each(done).await?;
    let size = engine.size().await?;
    ensure!(size.items == (owners.len() * EACH) as u64, "{} letters are kept", size.items);
    engine.close()?;
    Ok(size.stored_bytes.unwrap_or_default())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

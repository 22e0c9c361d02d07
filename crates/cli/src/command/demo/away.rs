//! Bob is off while Alice writes: her letters wait at a relay, which is killed in the middle.

use super::bulk::progress;
use super::player::Player;
use super::relay::Relay;
use super::report::heading;
use super::tally::Count;
use super::{LETTERS_AWAY, millis};
use crate::failure::Failure;
use crate::output::{Output, Table};
use serde::Serialize;
use std::time::{Duration, Instant};
use waypost_core::{Body, LetterId};
use waypost_node::method::{ContactRef, LettersSend, SendLetter};

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Away {
    pub(super) sent: usize,
    /// Of them: there, whole, and shown exactly once.
    pub(super) delivered_once: usize,
    pub(super) lost: usize,
    pub(super) shown_twice: usize,
    /// How often the relay was killed and restarted meanwhile.
    pub(super) relay_kills: u32,
    /// How long it was gone.
    pub(super) relay_gone_ms: f64,
    /// From the first letter's call until all were durable at the relay.
    pub(super) stored_ms: f64,
    /// From the start of Bob's node until Alice had the confirmation of the last one.
    pub(super) delivered_ms: f64,
}

/// Alice writes, Bob comes back and answers. Gives the letters too.
pub(super) async fn run(
    output: Output,
    alice: &Player,
    bob: &mut Player,
    relay: &mut Relay,
    marker: &str,
) -> Result<(Away, Vec<LetterId>), Failure> {
    for person in [alice, &*bob] {
        person.use_relay(&relay.address).await?;
    }
    // What comes before a letter on a connection is known when the letter is: the new mailboxes too.
    alice.tell("Bob", Body::Text { text: format!("{marker} I use a relay now") }).await?;
    bob.tell("Alice", Body::Text { text: format!("{marker} so do I, and now I go") }).await?;
    bob.stop().await?;

    output.talk(&format!("Bob is off; Alice writes {LETTERS_AWAY} letters; the relay is killed and restarted ..."));
    let ids: Vec<LetterId> = (0..LETTERS_AWAY).map(|_| LetterId::from_bytes(rand::random())).collect();
    let begun = Instant::now();
    let ((), (), gone) = tokio::try_join!(
        write(alice, &ids, marker),
        wait_stored(output, alice, &ids),
        kill_after_half(alice, &ids, relay)
    )?;
    let stored = begun.elapsed();

    output.talk("Bob comes back ...");
    let begun = Instant::now();
    bob.come_back("Alice").await?;
    for id in &ids {
        alice.seen.delivered(*id).await?;
    }
    let delivered = begun.elapsed();
    // His own letter opens the direct way again.
    bob.tell("Alice", Body::Text { text: format!("{marker} I am back") }).await?;
    let away = Away {
        sent: ids.len(),
        relay_kills: 1,
        relay_gone_ms: millis(gone),
        stored_ms: millis(stored),
        delivered_ms: millis(delivered),
        ..Away::default()
    };
    Ok((away, ids))
}

async fn write(alice: &Player, ids: &[LetterId], marker: &str) -> Result<(), Failure> {
    for (number, id) in ids.iter().enumerate() {
        let body = Body::Text { text: format!("{marker} while you are away, number {number}") };
        alice.call::<LettersSend>(SendLetter { to: ContactRef("Bob".into()), id: Some(*id), body }).await?;
    }
    Ok(())
}

async fn wait_stored(output: Output, alice: &Player, ids: &[LetterId]) -> Result<(), Failure> {
    let bar = progress(output, ids.len());
    for id in ids {
        alice.seen.stored(*id).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

async fn kill_after_half(alice: &Player, ids: &[LetterId], relay: &mut Relay) -> Result<Duration, Failure> {
    for id in ids.iter().take(ids.len() / 2) {
        alice.seen.stored(*id).await?;
    }
    relay.kill_and_restart().await
}

impl Away {
    pub(super) fn take(&mut self, count: &Count) {
        (self.delivered_once, self.lost, self.shown_twice) = (count.once, count.lost, count.twice);
    }

    pub(super) fn rows(&self, table: &mut Table) {
        heading(table, "Letters while Bob is off");
        table.row(["  Left at the relay".into(), format!("{} in {:.1} s", self.sent, self.stored_ms / 1000.0)]);
        let killed = format!("after half of them, gone for {:.0} ms", self.relay_gone_ms);
        table.row(["  Relay killed".into(), killed]);
        let came = format!("{}, all {:.1} s after he came back", self.delivered_once, self.delivered_ms / 1000.0);
        table.row(["  Delivered exactly once".into(), came]);
        table.row(["  Lost, shown twice".into(), format!("{}, {}", self.lost, self.shown_twice)]);
    }
}

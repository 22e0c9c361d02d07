//! Many letters from Alice to Bob, with both nodes killed on the way.

use super::player::{Link, Player};
use super::seen::Seen;
use crate::failure::Failure;
use crate::output::Output;
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use waypost_api::ClientError;
use waypost_core::{Body, ErrorKind, LetterId};
use waypost_node::method::{ContactRef, LettersSend, SendLetter};

/// Letters on their way at a time.
const WINDOW: usize = 16;

/// What came of it.
pub(super) struct Bulk {
    pub(super) ids: Vec<LetterId>,
    /// From the call to the end-to-end confirmation, of letters that came before the first kill.
    pub(super) quiet: Vec<Duration>,
    /// How long those took in all.
    pub(super) quiet_time: Duration,
    /// What they needed on the network, both ways.
    pub(super) quiet_bytes: usize,
    /// The slowest of all letters.
    pub(super) slowest: Duration,
    pub(super) kills: u32,
}

/// One letter's way.
struct Done {
    begun: Instant,
    delivered: Instant,
}

/// Sends `count` letters and kills Bob after a third and Alice after two thirds of them.
pub(super) async fn run(
    output: Output,
    alice: &mut Player,
    bob: &mut Player,
    count: usize,
    marker: &str,
) -> Result<Bulk, Failure> {
    let ids: Arc<[LetterId]> = (0..count).map(|_| LetterId::from_bytes(rand::random())).collect();
    let bar = progress(output, count);
    let (done_count, mut progress) = watch::channel(0);
    let work = Arc::new(Work {
        ids: ids.clone(),
        next: AtomicUsize::new(0),
        marker: marker.to_owned(),
        seen: alice.seen.clone(),
        done_count,
    });
    let begun = Instant::now();
    let bytes_before = alice.proxy.bytes() + bob.proxy.bytes();
    let mut writers = JoinSet::new();
    for _ in 0..WINDOW {
        writers.spawn(work.clone().write(alice.link()));
    }
    let shown = bar.clone();
    let mut shown_progress = progress.clone();
    writers.spawn(async move {
        while shown_progress.changed().await.is_ok() {
            let now = *shown_progress.borrow_and_update();
            shown.set_position(u64::try_from(now).unwrap_or(u64::MAX));
            if now >= count {
                break;
            }
        }
        Ok(Vec::new())
    });
    reach(&mut progress, count / 3, &mut writers).await?;
    let (killed, quiet_bytes) = (Instant::now(), alice.proxy.bytes() + bob.proxy.bytes() - bytes_before);
    bob.kill_and_restart("Alice").await?;
    reach(&mut progress, 2 * count / 3, &mut writers).await?;
    alice.kill_and_restart("Bob").await?;

    let mut all = Vec::new();
    while let Some(written) = writers.join_next().await {
        all.extend(written.map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))??);
    }
    bar.finish_and_clear();
    let took = |done: &Done| done.delivered.duration_since(done.begun);
    Ok(Bulk {
        ids: ids.to_vec(),
        quiet: all.iter().filter(|done| done.delivered < killed).map(took).collect(),
        quiet_time: killed - begun,
        quiet_bytes,
        slowest: all.iter().map(took).max().unwrap_or_default(),
        kills: 2,
    })
}

/// Waits until so many letters are delivered.
async fn reach(
    progress: &mut watch::Receiver<usize>,
    count: usize,
    writers: &mut JoinSet<Result<Vec<Done>, Failure>>,
) -> Result<(), Failure> {
    tokio::select! {
        // Writers may have ended well by now.
        biased;
        _ = progress.wait_for(|now| *now >= count) => Ok(()),
        Some(ended) = writers.join_next() => {
            ended.map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))??;
            Err(Failure::new(ErrorKind::Internal, "the letters ended too early").or_hint("use more --letters"))
        }
    }
}

/// What the writers share.
struct Work {
    ids: Arc<[LetterId]>,
    next: AtomicUsize,
    marker: String,
    seen: Arc<Seen>,
    done_count: watch::Sender<usize>,
}

impl Work {
    /// Writes letters one after the other, each until it is delivered.
    async fn write(self: Arc<Self>, mut link: Link) -> Result<Vec<Done>, Failure> {
        let mut all = Vec::new();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(id) = self.ids.get(number).copied() else { return Ok(all) };
            let begun = Instant::now();
            self.send(&mut link, number, id).await?;
            let delivered = self.seen.delivered(id).await?;
            all.push(Done { begun, delivered });
            self.done_count.send_modify(|count| *count += 1);
        }
    }

    /// Sends until the node has said that the letter is on disk; the same id makes repeats harmless.
    async fn send(&self, link: &mut Link, number: usize, id: LetterId) -> Result<(), Failure> {
        loop {
            let client = link.current().await?;
            let body = Body::Text { text: format!("{} number {number}", self.marker) };
            let params = SendLetter { to: ContactRef("Bob".into()), id: Some(id), body };
            match client.call::<LettersSend>(&params).await {
                Ok(_) => return Ok(()),
                Err(ClientError::Lost) => link.replaced(&client).await,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A bar of so many letters, where somebody looks at it.
pub(super) fn progress(output: Output, count: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(count).unwrap_or(u64::MAX));
    if output.is_json() || !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

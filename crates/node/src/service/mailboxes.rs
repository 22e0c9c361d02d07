//! The file behind the node's own relay: runs its batches and passes hints on.

use super::clock;
use crate::wires::sremp::SrempInput;
use crate::{Error, Home};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::interval;
use waypost_core::{BatchId, MailboxId, MailboxOp};
use waypost_mailbox::{Config, Embedded, Mailbox, Watcher};

/// Between two rounds of removing what is past its time.
const EXPIRE: Duration = Duration::from_secs(60);
/// Things removed in one round.
const ROUND: usize = 1000;
/// A person's mailbox needs little of it.
const CACHE: usize = 4 << 20;

/// The open file.
pub(super) struct Mailboxes {
    engine: Embedded,
    watcher: Arc<Watcher>,
    news: mpsc::Sender<SrempInput>,
    start: Instant,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Mailboxes {
    pub(super) fn open(home: &Home, start: Instant, news: mpsc::Sender<SrempInput>) -> Result<Self, Error> {
        let config = Config { cache: CACHE, readers: 1, ..Config::default() };
        let engine = Embedded::open(&home.relay_mailboxes(), config)
            .map_err(|error| Error::Environment(format!("the own relay's letters cannot be opened: {error}")))?;
        let watcher = Arc::new(engine.watcher());
        let (hints, told) = (watcher.clone(), news.clone());
        let hints = tokio::spawn(async move { while told.send(SrempInput::Hint(hints.next().await)).await.is_ok() {} });
        let expiring = engine.clone();
        let expiry = tokio::spawn(async move {
            let mut rounds = interval(EXPIRE);
            loop {
                rounds.tick().await;
                while expiring.expire(clock(start).wall, ROUND).await.is_ok_and(|removed| removed >= ROUND) {}
            }
        });
        Ok(Self { engine, watcher, news, start, tasks: vec![hints, expiry] })
    }

    /// Begins a batch; the answer comes as news.
    pub(super) fn begin(&self, id: BatchId, batch: Vec<MailboxOp>) {
        let (answers, news) = (self.engine.commit(clock(self.start).wall, batch), self.news.clone());
        tokio::spawn(async move {
            let answers = answers.await.inspect_err(|error| tracing::error!(%error, "the own relay's file failed"));
            // Nobody listens: the node has stopped.
            let _ = news.send(SrempInput::Mailbox(id, answers.ok())).await;
        });
    }

    pub(super) fn watch(&self, mailbox: &MailboxId) {
        self.watcher.add(mailbox);
    }

    pub(super) fn unwatch(&self, mailbox: &MailboxId) {
        self.watcher.remove(mailbox);
    }
}

impl Drop for Mailboxes {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

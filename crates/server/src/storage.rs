//! Runs the batches that a role's machine asks for.

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;
use waypost_core::{BatchId, MailboxDone, MailboxOp, Wall};
use waypost_mailbox::Mailbox;

/// What a batch came to; none if the storage failed.
pub(crate) type Done = (BatchId, Option<Vec<MailboxDone>>);

/// Batches under way. Their number is bounded by the machine: so many a connection, so many connections.
pub(crate) struct Storage<M> {
    mailbox: Arc<M>,
    running: FuturesUnordered<BoxFuture<'static, Done>>,
}

impl<M: Mailbox> Storage<M> {
    pub(crate) fn new(mailbox: Arc<M>) -> Self {
        Self { mailbox, running: FuturesUnordered::new() }
    }

    /// Begins a batch.
    pub(crate) fn begin(&mut self, id: BatchId, now: Wall, batch: Vec<MailboxOp>) {
        let answers = self.mailbox.commit(now, batch);
        self.running.push(Box::pin(async move {
            match answers.await {
                Ok(answers) => (id, Some(answers)),
                Err(error) => {
                    tracing::error!(%error, "the mailboxes failed");
                    (id, None)
                }
            }
        }));
    }

    /// The next batch that is done; never, if none is under way.
    pub(crate) async fn next(&mut self) -> Done {
        match self.running.next().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// One that is done already.
    pub(crate) fn ready(&mut self) -> Option<Done> {
        self.running.next().now_or_never().flatten()
    }

    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }
}

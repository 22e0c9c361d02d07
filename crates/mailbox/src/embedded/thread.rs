//! The threads of the engine: one writes, a few read.

use super::{
    Config,
    file::File,
    queue::{Answer, Job, Queue},
    row::Meta,
    work::{self, Work},
};
use crate::{Error, Hub};
use std::sync::{Arc, Mutex, PoisonError};
use waypost_core::{MailboxDone, MailboxId, MailboxOp, Refusal, Wall};

/// Batches that share one snapshot: a snapshot should be short, so that the log can be taken over.
const READS_AT_ONCE: usize = 8;

/// Totals as of the last commit.
pub(super) type Totals = Arc<Mutex<Meta>>;

/// Works off what writes, each time all that waits in one transaction.
pub(super) struct WriterThread {
    pub(super) file: File,
    pub(super) queue: Arc<Queue>,
    pub(super) config: Config,
    pub(super) totals: Totals,
    pub(super) hub: Hub,
}

impl WriterThread {
    /// Runs until the queue is closed and empty.
    pub(super) fn run(self) -> Result<(), Error> {
        let closing = Closing(Arc::clone(&self.queue));
        while let Some(jobs) = self.queue.take(self.config.group_batches, self.config.group_bytes) {
            if !self.group(jobs) {
                return Err(Error::Closed);
            }
        }
        drop(closing);
        self.file.close()
    }

    /// Does a group of jobs, and answers when they are on disk; whether the thread can go on.
    fn group(&self, jobs: Vec<Job>) -> bool {
        let mut done = Vec::with_capacity(jobs.len());
        let committed = self.commit(jobs, &mut done);
        let goes_on = self.file.roll_back();
        for reply in done {
            reply.send(committed.as_ref().err());
        }
        if let Ok(news) = committed {
            news.iter().for_each(|mailbox| self.hub.tell(mailbox));
        }
        if goes_on {
            self.file.shorten_log();
        }
        goes_on
    }

    fn commit(&self, jobs: Vec<Job>, done: &mut Vec<Reply>) -> Result<Vec<MailboxId>, Error> {
        // Whoever is not worked off for an error hears of it all the same.
        let mut jobs = jobs.into_iter();
        let begun = self.file.begin_write().and_then(|()| Work::new(&self.file, self.config.capacity));
        let mut work = match begun {
            Ok(work) => work,
            Err(error) => {
                done.extend(jobs.map(|job| Reply::failed(job, error.clone())));
                return Err(error);
            }
        };
        done.extend(jobs.by_ref().map(|job| match job {
            Job::Batch { now, batch, answer } => Reply::Batch(answer, work.batch(now, batch)),
            Job::Expire { now, limit, answer } => Reply::Expire(answer, work.expire(now, limit)),
        }));
        let outcome = work.finish();
        if !outcome.changes.is_empty() {
            self.file.commit(outcome.changes)?;
            *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = outcome.meta;
        }
        Ok(outcome.news.into_iter().collect())
    }
}

/// An answer that waits for the commit.
enum Reply {
    Batch(Answer<Vec<MailboxDone>>, Result<Vec<MailboxDone>, Error>),
    Expire(Answer<usize>, Result<usize, Error>),
}

impl Reply {
    fn failed(job: Job, error: Error) -> Self {
        match job {
            Job::Batch { answer, .. } => Self::Batch(answer, Err(error)),
            Job::Expire { answer, .. } => Self::Expire(answer, Err(error)),
        }
    }

    /// Whoever waited no longer is no concern of ours.
    fn send(self, failed: Option<&Error>) {
        match (self, failed) {
            (Self::Batch(answer, done), None) => drop(answer.send(done)),
            (Self::Expire(answer, done), None) => drop(answer.send(done)),
            (Self::Batch(answer, _), Some(Error::Full)) => {
                drop(answer.send(Ok(vec![MailboxDone::Refused(Refusal::StorageFull)])));
            }
            (Self::Batch(answer, _), Some(error)) => drop(answer.send(Err(error.clone()))),
            (Self::Expire(answer, _), Some(error)) => drop(answer.send(Err(error.clone()))),
        }
    }
}

/// Works off what only reads.
pub(super) struct ReaderThread {
    pub(super) file: File,
    pub(super) queue: Arc<Queue>,
}

impl ReaderThread {
    /// Runs until the queue is closed and empty.
    pub(super) fn run(self) -> Result<(), Error> {
        let closing = Closing(Arc::clone(&self.queue));
        while let Some(jobs) = self.queue.take(READS_AT_ONCE, usize::MAX) {
            let begun = self.file.begin_read();
            for job in jobs {
                if let Job::Batch { now, batch, answer } = job {
                    let done = begun.clone().and_then(|()| self.answer(now, batch));
                    drop(answer.send(done));
                }
            }
            if begun.is_err() || self.file.end().is_err() {
                self.file.roll_back();
            }
        }
        drop(closing);
        self.file.close()
    }

    fn answer(&self, now: Wall, batch: Vec<MailboxOp>) -> Result<Vec<MailboxDone>, Error> {
        work::read_batch(&self.file, now, batch)
    }
}

/// Closes the queue and drops what waits in it, so that nobody waits for a thread that is gone.
struct Closing(Arc<Queue>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, channel::oneshot};
    use waypost_core::{Change, Space};

    fn write(key: u8, len: usize) -> MailboxOp {
        let change = Change { space: Space("test/record"), key: vec![key], value: Some(vec![7; len]) };
        MailboxOp::Write { change, expires: None }
    }

    #[test]
    fn a_full_disk_refuses_and_is_overcome() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mailboxes.db");
        std::fs::File::create(&path).unwrap();
        let file = File::writer(&path, 1 << 20).unwrap();
        file.bound(50);
        let (queue, totals, hub) = (Arc::default(), Totals::default(), Hub::default());
        let thread = WriterThread { file, queue, config: Config::default(), totals, hub };
        let now = Wall::from_millis(0);
        let group = |batches: Vec<Vec<MailboxOp>>| {
            let (jobs, answers): (Vec<_>, Vec<_>) = batches
                .into_iter()
                .map(|batch| {
                    let (answer, done) = oneshot::channel();
                    (Job::Batch { now, batch, answer }, done)
                })
                .unzip();
            assert!(thread.group(jobs), "the engine goes on");
            answers.into_iter().map(|done| done.now_or_never().unwrap().unwrap().unwrap()).collect::<Vec<_>>()
        };
        let full = vec![MailboxDone::Refused(Refusal::StorageFull)];
        assert_eq!(group(vec![vec![write(1, 10)]]), [[MailboxDone::Done]]);
        assert_eq!(group(vec![vec![write(2, 10)], vec![write(3, 500_000)]]), [full.clone(), full]);
        let read = |key| MailboxOp::Read { space: Space("test/record"), key: vec![key] };
        let done = work::read_batch(&thread.file, now, vec![read(1), read(2), read(3)]).unwrap();
        let there = MailboxDone::Record(Some(vec![7; 10]));
        assert_eq!(done, [there, MailboxDone::Record(None), MailboxDone::Record(None)]);
        thread.file.bound(1000);
        assert_eq!(group(vec![vec![write(3, 500_000)]]), [[MailboxDone::Done]]);
    }
}

//! The engine in one file, for one process: the default.

mod file;
mod place;
mod query;
mod queue;
mod row;
mod thread;
mod tree;
mod work;

use crate::{Capacity, Error, Hub, Mailbox, Size, Watcher};
use file::File;
use futures::channel::oneshot;
use place::Place;
use queue::{Answer, Job, Queue};
use row::Meta;
use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};
use thread::{ReaderThread, Totals, WriterThread};
use waypost_core::{MailboxDone, MailboxId, MailboxOp, Wall};

/// What can be chosen about the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What all mailboxes together may hold.
    pub capacity: Capacity,
    /// Bytes of memory for pages of the file. What is under way comes on top: what callers wait for, and for each
    /// group twice its content.
    pub cache: usize,
    /// Threads that read.
    pub readers: usize,
    /// Batches that share a commit, at most.
    pub group_batches: usize,
    /// Bytes of content that share a commit, about, at most; one batch always fits.
    pub group_bytes: usize,
}

/// For a server of ten thousand people on a small machine.
impl Default for Config {
    fn default() -> Self {
        Self { capacity: Capacity::default(), cache: 64 << 20, readers: 2, group_batches: 1024, group_bytes: 8 << 20 }
    }
}

/// Mailboxes in one file. Clones are the same engine.
///
/// All batches that wait share one transaction and one sync of the disk; each is still done whole or not at all.
/// A batch that only reads does not wait for them. Beside the file lie its log (`-wal`), the log's index (`-shm`,
/// which holds nothing that matters) and `.lock`, as long as the engine is open. After a crash, file and log belong
/// together.
#[derive(Clone)]
pub struct Embedded(Arc<Engine>);

struct Engine {
    writes: Arc<Queue>,
    reads: Arc<Queue>,
    totals: Totals,
    hub: Hub,
    place: Place,
    threads: Mutex<Vec<JoinHandle<Result<(), Error>>>>,
}

impl Embedded {
    /// Opens the file, or makes it. Blocks for some milliseconds, whatever the size.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Newer`], [`Error::Damaged`], or the operating system says no.
    pub fn open(path: &Path, config: Config) -> Result<Self, Error> {
        let place = Place::take(path)?;
        // What is written is read first, so the writer's pages count most.
        let readers = config.readers.max(1);
        let share = config.cache / 2;
        let file = File::writer(path, share)?;
        let meta = start(&file)?;
        let totals = Arc::new(Mutex::new(meta));
        let hub = Hub::default();
        let (writes, reads) = (Arc::new(Queue::default()), Arc::new(Queue::default()));
        // From here on a failure closes what is started: `Engine` is dropped.
        let engine = Engine { writes, reads, totals, hub, place, threads: Mutex::default() };
        for _ in 0..readers {
            let file = File::reader(path, share / readers)?;
            let thread = ReaderThread { file, queue: Arc::clone(&engine.reads) };
            engine.spawn("mailbox reader", move || thread.run())?;
        }
        let (queue, totals, hub) = (Arc::clone(&engine.writes), Arc::clone(&engine.totals), engine.hub.clone());
        let thread = WriterThread { file, queue, config, totals, hub };
        engine.spawn("mailbox writer", move || thread.run())?;
        Ok(Self(Arc::new(engine)))
    }

    /// Ends the engine, also for its clones: what was submitted is done, the log is taken over into the file.
    /// Blocks meanwhile. Dropping the last clone does the same.
    ///
    /// # Errors
    /// The file could not be closed; what was answered is still on disk.
    pub fn close(&self) -> Result<(), Error> {
        self.0.close()
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Embedded").field(&self.0.place.path()).finish()
    }
}

impl Mailbox for Embedded {
    fn commit(
        &self,
        now: Wall,
        batch: Vec<MailboxOp>,
    ) -> impl Future<Output = Result<Vec<MailboxDone>, Error>> + Send + use<> {
        let (answer, done) = oneshot::channel();
        let queue = if batch.iter().any(MailboxOp::is_write) { &self.0.writes } else { &self.0.reads };
        match check(&batch) {
            Ok(()) => submit(queue, Job::Batch { now, batch, answer }),
            Err(error) => refuse(answer, error),
        }
        wait(done)
    }

    fn expire(&self, now: Wall, limit: usize) -> impl Future<Output = Result<usize, Error>> + Send + use<> {
        let (answer, done) = oneshot::channel();
        submit(&self.0.writes, Job::Expire { now, limit, answer });
        wait(done)
    }

    fn size(&self) -> impl Future<Output = Result<Size, Error>> + Send + use<> {
        let Meta { items, bytes, .. } = *self.0.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.0.place.path();
        let size = place::stored_bytes(path).and_then(|stored_bytes| {
            Ok(Size { items, bytes, stored_bytes: Some(stored_bytes), disk: Some(place::disk(path)?) })
        });
        std::future::ready(size)
    }

    fn watcher(&self) -> Watcher {
        self.0.hub.watcher()
    }
}

impl Engine {
    fn spawn(&self, name: &str, run: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Result<(), Error> {
        let thread = std::thread::Builder::new().name(name.into());
        let thread = thread.spawn(run).map_err(Error::io("start a thread for", self.place.path()))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    fn close(&self) -> Result<(), Error> {
        // Readers first: the writer's connection is the last one, and takes the log over.
        self.reads.close();
        self.writes.close();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut closed = Ok(());
        for thread in threads.drain(..) {
            let ended = thread.join().unwrap_or(Err(Error::Internal("a thread of the engine ended by a panic")));
            closed = closed.and(ended);
        }
        self.place.leave();
        closed
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Whoever wants to hear of errors calls `close`; nothing that was answered can be lost here.
        let _ = self.close();
    }
}

/// Reads the totals; writes the first row of a new file.
fn start(file: &File) -> Result<Meta, Error> {
    if let Some(meta) = Meta::read(file)? {
        return Ok(meta);
    }
    let meta = Meta::default();
    let (key, value) = meta.row();
    file.begin_write()?;
    file.commit([(tree::Table::Meta, [(key, Some(value))].into())].into())?;
    Ok(meta)
}

/// The lengths that keys are made for.
fn check(batch: &[MailboxOp]) -> Result<(), Error> {
    let is_long = |mailbox: &MailboxId| mailbox.owner.len() > 64;
    let long = batch.iter().any(|op| match op {
        MailboxOp::Put(put) => is_long(&put.mailbox) || put.key.len() > 128 || put.from.len() > 64,
        MailboxOp::Open { mailbox, .. } => is_long(mailbox),
        MailboxOp::Notice(notice) => is_long(&notice.mailbox),
        _ => false,
    });
    if long { Err(Error::Internal("an owner, a sender or a key is too long")) } else { Ok(()) }
}

fn submit(queue: &Queue, job: Job) {
    // A closed queue gives the job back; dropped, it answers as closed.
    drop(queue.push(job));
}

fn refuse<T>(answer: Answer<T>, error: Error) {
    drop(answer.send(Err(error)));
}

async fn wait<T>(done: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
    done.await.unwrap_or(Err(Error::Closed))
}

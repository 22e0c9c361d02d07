//! The model passes the suite too.

use std::sync::{Arc, Mutex};
use waypost_core::{MailboxDone, MailboxOp, Wall};
use waypost_mailbox::{Capacity, Error, Hub, Mailbox, Size, Watcher, conformance::Subject};
use waypost_testkit::mailbox::{self, MemoryMailbox};

waypost_mailbox::conformance!(InMemory);

/// The model as an engine. What it keeps outlives it, as a disk does.
#[derive(Clone)]
pub(crate) struct Memory {
    kept: Arc<Mutex<MemoryMailbox>>,
    hub: Hub,
}

#[derive(Default)]
pub(crate) struct InMemory(Mutex<Option<Arc<Mutex<MemoryMailbox>>>>);

impl Subject for InMemory {
    type Engine = Memory;

    fn new() -> Self {
        Self::default()
    }

    fn open(&self, Capacity { items, bytes }: Capacity) -> Memory {
        let new = || Arc::new(Mutex::new(MemoryMailbox::with_capacity(mailbox::Capacity { items, bytes })));
        Memory { kept: Arc::clone(self.0.lock().unwrap().get_or_insert_with(new)), hub: Hub::default() }
    }
}

impl Mailbox for Memory {
    fn commit(
        &self,
        now: Wall,
        batch: Vec<MailboxOp>,
    ) -> impl Future<Output = Result<Vec<MailboxDone>, Error>> + Send + use<> {
        let mut kept = self.kept.lock().unwrap();
        let done = kept.commit(now, batch);
        kept.take_news().iter().for_each(|mailbox| self.hub.tell(mailbox));
        std::future::ready(Ok(done))
    }

    fn expire(&self, now: Wall, limit: usize) -> impl Future<Output = Result<usize, Error>> + Send + use<> {
        std::future::ready(Ok(self.kept.lock().unwrap().expire(now, limit)))
    }

    fn size(&self) -> impl Future<Output = Result<Size, Error>> + Send + use<> {
        let (items, bytes) = self.kept.lock().unwrap().size();
        std::future::ready(Ok(Size { items, bytes, stored_bytes: None, disk: None }))
    }

    fn watcher(&self) -> Watcher {
        self.hub.watcher()
    }
}

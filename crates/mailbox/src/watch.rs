//! Hints that a mailbox got something. They may come twice, and may be lost where an engine spans machines: who
//! depends on one looks again after a while anyway.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};
use waypost_core::MailboxId;

/// One ear for many mailboxes: a server with thousands of connections needs no task for each.
///
/// Add a mailbox first and fetch from it then, so that nothing falls in between.
pub struct Watcher {
    hub: Hub,
    inbox: Arc<Inbox>,
}

impl Watcher {
    /// Listens to this mailbox too.
    pub fn add(&self, mailbox: &MailboxId) {
        let mut ears = self.hub.lock();
        if self.inbox.lock().watched.contains(mailbox) {
            return;
        }
        let known = ears.get_key_value(mailbox).map(|(mailbox, _)| Arc::clone(mailbox));
        let mailbox = known.unwrap_or_else(|| Arc::new(mailbox.clone()));
        self.inbox.lock().watched.insert(Arc::clone(&mailbox));
        ears.entry(mailbox).or_default().push(Arc::clone(&self.inbox));
    }

    /// Listens to it no longer; a hint that waits is dropped.
    pub fn remove(&self, mailbox: &MailboxId) {
        let mut ears = self.hub.lock();
        let mut inbox = self.inbox.lock();
        if inbox.watched.remove(mailbox) {
            inbox.waiting.retain(|waiting| **waiting != *mailbox);
            inbox.is_waiting.remove(mailbox);
            forget(&mut ears, mailbox, &self.inbox);
        }
    }

    /// The next mailbox that got something. Hints about one mailbox that were not taken yet are one. Dropping the
    /// future loses none; only one may wait at a time.
    pub async fn next(&self) -> MailboxId {
        poll_fn(|context| {
            let mut inbox = self.inbox.lock();
            match inbox.waiting.pop_front() {
                Some(mailbox) => {
                    inbox.is_waiting.remove(&mailbox);
                    Poll::Ready(MailboxId::clone(&mailbox))
                }
                None => {
                    inbox.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut ears = self.hub.lock();
        for mailbox in std::mem::take(&mut self.inbox.lock().watched) {
            forget(&mut ears, &mailbox, &self.inbox);
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watcher({} mailboxes)", self.inbox.lock().watched.len())
    }
}

/// Hints about one mailbox.
#[derive(Debug)]
pub struct Watch(Watcher);

impl Watch {
    pub(crate) fn new(watcher: Watcher, mailbox: &MailboxId) -> Self {
        watcher.add(mailbox);
        Self(watcher)
    }

    /// Waits for something new.
    pub async fn next(&self) {
        self.0.next().await;
    }
}

/// Where an engine tells its news, for those who listen in this process.
#[derive(Clone, Default)]
pub struct Hub(Arc<Mutex<Ears>>);

type Ears = HashMap<Arc<MailboxId>, Vec<Arc<Inbox>>>;

impl Hub {
    /// An ear that listens to nothing yet.
    pub fn watcher(&self) -> Watcher {
        Watcher { hub: self.clone(), inbox: Arc::default() }
    }

    /// Wakes those who listen to this mailbox.
    pub fn tell(&self, mailbox: &MailboxId) {
        let ears = self.lock();
        let Some((mailbox, inboxes)) = ears.get_key_value(mailbox) else {
            return;
        };
        let wakers: Vec<_> = inboxes.iter().filter_map(|inbox| inbox.lock().receive(mailbox)).collect();
        drop(ears);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Ears> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hub({} mailboxes)", self.lock().len())
    }
}

/// What came for one watcher. Locked after the hub, never before.
#[derive(Default)]
struct Inbox(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    watched: HashSet<Arc<MailboxId>>,
    waiting: VecDeque<Arc<MailboxId>>,
    /// Those in `waiting`: each is there once, so that it is bounded by what is watched.
    is_waiting: HashSet<Arc<MailboxId>>,
    waker: Option<Waker>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn receive(&mut self, mailbox: &Arc<MailboxId>) -> Option<Waker> {
        if !self.is_waiting.insert(Arc::clone(mailbox)) {
            return None;
        }
        self.waiting.push_back(Arc::clone(mailbox));
        self.waker.take()
    }
}

fn forget(ears: &mut Ears, mailbox: &MailboxId, inbox: &Arc<Inbox>) {
    if let Some(inboxes) = ears.get_mut(mailbox) {
        inboxes.retain(|other| !Arc::ptr_eq(other, inbox));
        if inboxes.is_empty() {
            ears.remove(mailbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use waypost_core::Space;

    fn mailbox(owner: u8) -> MailboxId {
        MailboxId { space: Space("test/watch"), owner: vec![owner] }
    }

    #[test]
    fn one_ear_hears_of_many_mailboxes_each_once() {
        let hub = Hub::default();
        let watcher = hub.watcher();
        for owner in [1, 2, 1] {
            watcher.add(&mailbox(owner));
        }
        assert_eq!(watcher.next().now_or_never(), None);
        for owner in [2, 1, 2, 3] {
            hub.tell(&mailbox(owner));
        }
        assert_eq!(watcher.next().now_or_never(), Some(mailbox(2)));
        assert_eq!(watcher.next().now_or_never(), Some(mailbox(1)));
        assert_eq!(watcher.next().now_or_never(), None);
    }

    #[test]
    fn what_is_removed_is_heard_no_longer() {
        let hub = Hub::default();
        let (watcher, other) = (hub.watcher(), hub.watcher());
        for owner in [1, 2] {
            watcher.add(&mailbox(owner));
        }
        other.add(&mailbox(1));
        hub.tell(&mailbox(1));
        watcher.remove(&mailbox(1));
        hub.tell(&mailbox(1));
        assert_eq!(watcher.next().now_or_never(), None);
        assert_eq!(other.next().now_or_never(), Some(mailbox(1)));
        drop((watcher, other));
        assert!(hub.lock().is_empty(), "nothing is left of those who went");
    }

    #[test]
    fn wakes_who_waits() {
        let hub = Hub::default();
        let watch = Watch::new(hub.watcher(), &mailbox(1));
        let waiting = std::thread::spawn(move || futures::executor::block_on(watch.next()));
        // Whether it waits already or not yet, it ends.
        hub.tell(&mailbox(1));
        waiting.join().unwrap();
    }
}

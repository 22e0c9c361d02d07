//! What is new in a mailbox goes out unasked to the connections that want it. Profile SR-8.2e, SR-8.2d.
//!
//! ```text
//! Hint, or a slow clock ──> Fetch above the last seq sent ──> MESSAGE_BATCH of one, DELIVERY_CONFIRMATION
//! ```
//! A hint says only that it is worth looking, so it may be lost or come twice, and come from any process.

use super::{
    depot::{Depot, Job, Output},
    records::mailbox,
    retrieve::{Kept, fetch, kept},
};
use crate::{
    LinkId, Message,
    docket::{Done, add, answers},
    message::MessageBatch,
};
use std::collections::{BTreeMap, BTreeSet};
use waypost_core::{ContactId, Item, MailboxDone, Mono, Now, Wall};

/// Mailboxes with push connections.
#[derive(Default)]
pub(super) struct Watches {
    mailboxes: BTreeMap<ContactId, Watched>,
    /// When each is looked at although nobody gave a hint.
    due: BTreeSet<(Mono, ContactId)>,
}

struct Watched {
    links: BTreeMap<LinkId, Watcher>,
    /// What is above this seq is being read.
    reading: Option<u64>,
    /// Something happened since the mailbox was read.
    is_stale: bool,
    due: Mono,
}

#[derive(Default)]
struct Watcher {
    /// The last seq sent; none as long as the client is not registered.
    sent: Option<u64>,
    /// It has more to send than it can.
    is_held: bool,
}

impl Watched {
    /// Where to read on: the least of what was sent to connections that take more.
    fn start(&self) -> Option<u64> {
        self.links.values().filter(|watcher| !watcher.is_held).filter_map(|watcher| watcher.sent).min()
    }
}

impl Depot {
    /// Begins to watch a mailbox for a connection.
    pub(super) fn watch(&mut self, now: Now, link: LinkId, client: ContactId) {
        let due = now.mono.after(self.timing.recheck);
        let watches = &mut self.watches;
        let watched = watches.mailboxes.entry(client).or_insert_with(|| {
            watches.due.insert((due, client));
            self.out.push_back(Output::Watch(mailbox(&client)));
            Watched { links: BTreeMap::new(), reading: None, is_stale: false, due }
        });
        watched.links.entry(link).or_default();
    }

    /// The client is registered: what comes behind this seq is sent.
    pub(super) fn push_from(&mut self, link: LinkId, client: &ContactId, last_seq: u64) {
        let Some(watched) = self.watches.mailboxes.get_mut(client) else { return };
        let Some(watcher) = watched.links.get_mut(&link) else { return };
        watcher.sent.get_or_insert(last_seq);
        // Another connection of the client may have got meanwhile what this one's count did not see yet.
        if watched.is_stale || watched.links.values().any(|other| other.sent > Some(last_seq)) {
            self.look(client);
        }
    }

    /// The client did not become one: the watch that was begun for it ends.
    pub(super) fn unwatch_new(&mut self, link: LinkId, client: &ContactId) {
        let watcher = self.watches.mailboxes.get(client).and_then(|watched| watched.links.get(&link));
        if watcher.is_some_and(|watcher| watcher.sent.is_none()) {
            self.unwatch(link, client);
        }
    }

    pub(super) fn unwatch(&mut self, link: LinkId, client: &ContactId) {
        let Some(watched) = self.watches.mailboxes.get_mut(client) else { return };
        if watched.links.remove(&link).is_some() && watched.links.is_empty() {
            self.watches.due.remove(&(watched.due, *client));
            self.watches.mailboxes.remove(client);
            self.out.push_back(Output::Unwatch(mailbox(client)));
        }
    }

    /// A connection can take no more for now, or again.
    pub(super) fn hold(&mut self, link: LinkId, is_held: bool) {
        let Some(client) = self.links.get(&link).map(|from| from.peer.key()) else { return };
        let watcher = self.watches.mailboxes.get_mut(&client).and_then(|watched| watched.links.get_mut(&link));
        let Some(watcher) = watcher else { return };
        let is_again = watcher.is_held && !is_held;
        watcher.is_held = is_held;
        if is_again {
            self.look(&client);
        }
    }

    /// Reads a mailbox, or does so once the reading under way is over.
    pub(super) fn look(&mut self, client: &ContactId) {
        let Some(watched) = self.watches.mailboxes.get_mut(client) else { return };
        watched.is_stale = true;
        let Some(after) = watched.start().filter(|_| watched.reading.is_none()) else { return };
        (watched.reading, watched.is_stale) = (Some(after), false);
        let ops = vec![fetch(client, after, Wall::default(), self.limits.push_items, &self.limits)];
        self.ask(None, ops, Job::Push(*client));
    }

    /// What a look has shown. When it failed, the slow clock looks again.
    pub(super) fn seen(&mut self, client: &ContactId, done: Done) {
        let Some(watched) = self.watches.mailboxes.get_mut(client) else { return };
        let Some(after) = watched.reading.take() else { return };
        let Ok([MailboxDone::Page { items, has_more }]) = answers(done) else { return };
        let mut sent = 0;
        for item in items {
            let seq = item.seq;
            let Some(message) = unasked(client, item) else { continue };
            for (link, watcher) in &mut watched.links {
                if !watcher.is_held && watcher.sent.is_some_and(|sent| (after..seq).contains(&sent)) {
                    watcher.sent = Some(seq);
                    self.out.push_back(Output::Send(*link, message.clone()));
                    sent += 1;
                }
            }
        }
        add(&mut self.counts.pushed, sent);
        // One that came or was freed meanwhile may be further behind than what was read.
        if has_more || watched.is_stale || watched.start() < Some(after) {
            self.look(client);
        }
    }

    /// Looks at the mailboxes nobody gave a hint for.
    pub(super) fn recheck(&mut self, now: Now) {
        while let Some((due, client)) = self.watches.due.first().copied()
            && due <= now.mono
        {
            self.watches.due.remove(&(due, client));
            let Some(watched) = self.watches.mailboxes.get_mut(&client) else { continue };
            // Later than now, however short the pause: this loop ends.
            watched.due = now.mono.after(self.timing.recheck.max(std::time::Duration::from_millis(1)));
            self.watches.due.insert((watched.due, client));
            self.look(&client);
        }
    }

    pub(super) fn next_recheck(&self) -> Option<Mono> {
        self.watches.due.first().map(|(due, _)| *due)
    }
}

/// How an item is sent unasked: without `next`. One that cannot be read is left for RETRIEVE_MESSAGES.
fn unasked(client: &ContactId, item: Item) -> Option<Message> {
    Some(match kept(client, item).ok()? {
        Kept::Message(message) => {
            MessageBatch { messages: vec![message], has_more: false, next: None, confirmations: None }.into()
        }
        Kept::Confirmation(confirmation) => confirmation.into(),
    })
}

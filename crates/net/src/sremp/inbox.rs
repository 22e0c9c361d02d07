//! The engine's inbox: bounded by events and by the bytes of their messages.

use super::DriverEvent;
use std::sync::Arc;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use waypost_sremp::Message;

/// What an event costs beside its message's bytes.
const EVENT: usize = 512;
/// What an item of a batch costs beside its blob.
const ITEM: usize = 200;

/// Where tasks leave their news. An event counts until the engine drops it, so that what it took out
/// and has not acted on yet is bounded too.
#[derive(Debug)]
pub(super) struct Inbox {
    news: mpsc::Sender<DriverEvent>,
    room: Arc<Semaphore>,
    bytes: usize,
}

/// The place of a message in the driver's memory; free again when dropped.
#[derive(Debug, Default)]
pub struct Held {
    room: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// What the message counts there, in bytes.
    pub fn bytes(&self) -> usize {
        self.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

/// What became of an event.
#[derive(Debug)]
pub(super) enum Put {
    /// It is in.
    Done,
    /// The engine is behind.
    Full(Box<DriverEvent>),
    /// The engine is gone.
    Gone,
}

impl Inbox {
    /// `bytes` of messages at most, or one that is larger.
    pub(super) fn new(news: mpsc::Sender<DriverEvent>, bytes: usize) -> Self {
        let bytes = bytes.clamp(EVENT, Semaphore::MAX_PERMITS);
        Self { news, room: Arc::new(Semaphore::new(bytes)), bytes }
    }

    /// Leaves an event if there is room.
    pub(super) fn try_put(&self, mut event: DriverEvent) -> Put {
        if let DriverEvent::Message { message, held, .. } = &mut event
            && held.room.is_none()
        {
            match Arc::clone(&self.room).try_acquire_many_owned(self.cost(message)) {
                Ok(room) => held.room = Some(room),
                Err(_) => return Put::Full(Box::new(event)),
            }
        }
        match self.news.try_send(event) {
            Ok(()) => Put::Done,
            Err(TrySendError::Full(event)) => Put::Full(Box::new(event)),
            Err(TrySendError::Closed(_)) => Put::Gone,
        }
    }

    /// Waits until there is room for an event. False if the engine is gone.
    pub(super) async fn room_for(&self, event: &DriverEvent) -> bool {
        if let DriverEvent::Message { message, held, .. } = event
            && held.room.is_none()
            && self.room.acquire_many(self.cost(message)).await.is_err()
        {
            return false;
        }
        self.news.reserve().await.is_ok()
    }

    /// Leaves an event as soon as there is room. Nothing happens if the engine is gone.
    pub(super) async fn put(&self, mut event: DriverEvent) {
        while self.room_for(&event).await {
            match self.try_put(event) {
                // Somebody was faster.
                Put::Full(back) => event = *back,
                Put::Done | Put::Gone => return,
            }
        }
    }

    fn cost(&self, message: &Message) -> u32 {
        let bytes = match message {
            Message::DirectMessage(direct) => direct.encrypted_blob.len(),
            // What counts is the blob; to encode it once more only to know its length would cost a copy of each.
            Message::StoreMessage(store) => store.encrypted_blob.len(),
            Message::MessageBatch(batch) => {
                batch.messages.iter().map(|message| message.encrypted_blob.len() + ITEM).sum::<usize>()
                    + batch.confirmations.iter().flatten().count() * ITEM
            }
            Message::DeliveryConfirmation(_) | Message::FetchPrekeys(_) | Message::Error(_) => 0,
            other => other.encode().len(),
        };
        u32::try_from((bytes + EVENT).min(self.bytes)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waypost_core::Wall;
    use waypost_sremp::{
        LinkId,
        ed25519::SigningKey,
        message::{DirectMessage, MessageBatch, StoreMessage, StoredMessage},
        msgpack::Blob,
    };

    fn event(length: usize) -> DriverEvent {
        let message = DirectMessage { message_id: 1, encrypted_blob: Blob(vec![0; length]) }.into();
        DriverEvent::Message { link: LinkId(1), message, held: Held::default() }
    }

    #[test]
    fn a_letter_for_the_relay_counts_no_less_than_its_blob() {
        let inbox = Inbox::new(mpsc::channel(1).0, 1 << 20);
        let key = SigningKey::from_bytes(&[1; 32]);
        let store = StoreMessage::signed(&key.public(), &key, key.public(), 1, vec![0; 9000]);
        let item = StoredMessage {
            message_id: 1,
            sender: key.public(),
            timestamp: Wall::default(),
            encrypted_blob: Blob(vec![0; 9000]),
            seq: None,
        };
        let batch = MessageBatch { messages: vec![item; 3], has_more: false, next: None, confirmations: None };
        for message in [Message::from(store), batch.into()] {
            let (cost, length) = (inbox.cost(&message) as usize, message.encode().len());
            assert!((length..=length + EVENT + 3 * ITEM).contains(&cost), "{cost} for {length}");
        }
    }

    #[tokio::test]
    async fn counts_messages_until_the_engine_drops_them() {
        let (news, mut engine) = mpsc::channel(10);
        let inbox = Inbox::new(news, 10_000);
        assert!(matches!(inbox.try_put(event(9000)), Put::Done));
        assert!(matches!(inbox.try_put(event(9000)), Put::Full(_)));
        let taken = engine.recv().await.unwrap();
        assert!(matches!(inbox.try_put(event(9000)), Put::Full(_)), "taken out, not done with");
        drop(taken);
        assert!(matches!(inbox.try_put(event(100_000)), Put::Done), "alone, a larger one fits");
        tokio::join!(inbox.put(event(1)), async { drop(engine.recv().await.unwrap()) });
        drop(engine);
        inbox.put(event(1)).await;
        assert!(matches!(inbox.try_put(event(1)), Put::Gone));
    }
}

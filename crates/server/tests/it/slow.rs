//! Clients that do not read what is for them.

use crate::client::{Client, Honest};
use crate::servers::Running;
use waypost_sremp::Message;

/// A letter's bytes.
const LETTER: usize = 60_000;
/// Letters that come for the one who does not read; all of them are some 24 MB.
const LETTERS: u64 = 400;

/// As much as the profile's quotas and rates allow is too little to fill sockets with.
async fn generous() -> Running {
    let generous = |config: &mut waypost_server::Config| {
        let relay = &mut config.relay;
        (relay.quota_messages, relay.sender_messages) = (10_000, 10_000);
        (relay.quota_bytes, relay.sender_bytes) = (1 << 30, 1 << 30);
        (relay.rate_store, relay.rate_retrieve) = (100_000, 100_000);
    };
    Running::with(generous).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_client_that_never_reads_is_sent_little_and_gets_the_rest_when_it_reads() {
    let server = generous().await;
    let mut honest = Honest::start(&server).await;
    let mut sender = Client::registered(3, &server).await;
    let mut deaf = Client::connect_narrow(4, &server).await;
    deaf.register(true).await;
    // The same person once more: where it reads, it gets all.
    let mut reading = Client::connect(4, &server).await;
    reading.register(true).await;
    let before = server.figure("relay_pushed_total").await;
    for message_id in 0..LETTERS {
        assert_eq!(sender.store(4, message_id, LETTER).await, 0);
        assert_eq!(pushed(&mut reading).await, message_id);
        if message_id % 100 == 0 {
            honest.talk().await;
        }
    }
    // Once more, so that the relay has seen all of it: a letter to the one who listens comes behind.
    honest.talk().await;
    let sent = server.figure("relay_pushed_total").await - before - LETTERS;
    // Socket buffers of this machine, and half of what a connection may have unsent.
    assert!(sent < LETTERS / 2, "{sent} of {LETTERS} letters are in memory or sockets");
    for message_id in 0..LETTERS {
        assert_eq!(pushed(&mut deaf).await, message_id);
    }
    server.stop().await;
}

/// The next letter that comes unasked.
async fn pushed(client: &mut Client) -> u64 {
    match client.next().await {
        Some(Message::MessageBatch(batch)) if batch.next.is_none() && batch.messages.len() == 1 => {
            batch.messages[0].message_id
        }
        other => panic!("{other:?}"),
    }
}

//! Clients that do not read what they are sent.

use crate::client::Client;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use waypost_server::{Config, Data, Extras, Role, Seen, Server};
use waypost_sremp::{LinkId, Message};

/// More than what a socket and the bounds beside it take.
const LETTERS: u64 = 500;
const BLOB: usize = 60_000;

/// Profile SR-8.2e: pushes are for those who take them. Without a bound each connection that reads nothing
/// would hold a copy of its whole mailbox in memory.
#[tokio::test]
async fn a_client_that_reads_nothing_is_sent_little_and_everything_when_it_reads_again() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[relay]\nlisten = [\"127.0.0.1:0\"]\nrate_store = 1000000\nsender_messages = 10000\n\
                    sender_bytes = 1000000000\nquota_bytes = 1000000000\n";
    let config = Config::parse(settings).unwrap();
    // How many letters were sent on each connection.
    let sent: Arc<Mutex<HashMap<LinkId, u64>>> = Arc::default();
    let count = Arc::clone(&sent);
    let observer = Arc::new(move |seen: Seen<'_>| {
        if let Seen::Sent(link, Message::MessageBatch(batch)) = seen {
            *count.lock().unwrap().entry(link).or_default() += batch.messages.len() as u64;
        }
    });
    let extras = Extras { observer: Some(observer), ..Extras::default() };
    let data = Data::open(folder.path()).unwrap();
    let server = Server::start_with(&config, &[Role::Relay].into(), &data, extras).await.unwrap();
    let at = server.facts().relay.as_ref().unwrap().listening[0];

    // The same person twice: once it reads, once it does not.
    let mut stuck = Client::connect(at, 1, 1, true).await;
    let mut reading = Client::connect(at, 1, 8 << 20, true).await;
    let mut sender = Client::connect(at, 2, 8 << 20, false).await;
    let id = reading.id();
    for letter in 0..LETTERS {
        sender.store(id, letter, vec![7; BLOB]).await;
        let Message::MessageBatch(batch) = reading.message().await else { panic!("no letter") };
        assert_eq!(batch.messages[0].message_id, letter);
    }
    let least = *sent.lock().unwrap().values().min().unwrap();
    assert!(least < LETTERS, "all of it was sent to a client that reads nothing");

    for letter in 0..LETTERS {
        let Message::MessageBatch(batch) = stuck.message().await else { panic!("no letter") };
        assert_eq!((batch.messages[0].message_id, batch.next), (letter, None));
    }
    server.stop().await.unwrap();
}

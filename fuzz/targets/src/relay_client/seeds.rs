//! Inputs to begin with.

use super::town::{Town, town};
use crate::{peer::put, people::NOW};
use std::time::Duration;
use waypost_sremp::{
    Message,
    message::{MessageBatch, PrekeysPublished, RelayRegistered, StoreResponse, StoredMessage},
    relay::Policy,
};

/// Conversations in the form of the steps, with contents as Alice seals them.
pub fn seeds(contents: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    const TAKEN: [u8; 4] = [0, 30, 50, 100];
    // Both relays take us, there is nothing there, and prekeys are published.
    let mut begin = Vec::new();
    for who in [0u8, 1] {
        for numbers in [&TAKEN[..], &[1, 1], &[50]] {
            begin.extend(put(1, &[&[who], numbers].concat())?);
        }
    }
    let town = town()?;
    let mut seeds = Vec::new();
    for (content, round) in contents.iter().zip(0u8..) {
        // Two letters in one push, of which one is the next; the second again after a restart.
        let sealed = put(3, &[&[0], &content[..]].concat())?;
        let pushes = [put(7, &[0, 0, 2])?, sealed.clone(), put(12, &[])?, put(7, &[round % 2, 1, 9])?].concat();
        let again = [put(13, &[])?, put(10, &[0])?, put(1, &[&[0][..], &TAKEN].concat())?, put(7, &[0, 4, 2, 9])?];
        seeds.push([begin.clone(), sealed, pushes, again.concat()].concat());
    }
    for initial in &town.world.initial_messages {
        let first = put(5, &[&[0], &initial[..]].concat())?;
        seeds.push([begin.clone(), first, put(4, &[3, 1, 2, 3])?, put(7, &[0, 1, 1])?, put(8, &[40])?].concat());
    }
    // Letters to both, with prekeys of her whom Bob never met; taken, refused, confirmed.
    for (code, round) in [[0u8, 22], [0, 23], [0, 25], [0, 28], [0, 24], [1, 0]].into_iter().zip(0u8..) {
        let write = [put(11, &[1])?, put(11, &[3])?, put(9, &[0, 0])?, put(9, &[1, 10])?, put(9, &[0, 200])?].concat();
        let refuse = put(2, &[&[1], &code[..], &[round % 3, 5]].concat())?;
        let taken = [put(1, &[1])?, put(1, &[1])?, refuse, put(8, &[1])?, put(1, &[1])?, put(1, &[1])?].concat();
        let told = [put(6, &[1, 0, 2, 1])?, put(6, &[1, 1, round % 8, 2])?, put(7, &[1, 0, 3])?, put(8, &[80])?];
        let late = [put(15, &[0, 2])?, put(14, &[0])?, put(15, &[1, round % 7])?, put(6, &[0, 1, 1])?];
        seeds.push([begin.clone(), write, taken, told.concat(), late.concat()].concat());
    }
    // The same as messages that stand by themselves.
    for message in alone(town) {
        let message = message.encode();
        let say = |who: u8| put(0, &[&[who], &message[..]].concat());
        seeds
            .push([say(0)?, begin.clone(), put(11, &[0])?, put(9, &[1, 0])?, say(0)?, say(1)?, put(8, &[9])?].concat());
    }
    // Few prekeys are left, and more was pending than comes.
    let few = [put(1, &[0, 9, 3, 50, 9])?, put(1, &[0, 2, 0])?, put(1, &[0, 5, 1])?, put(1, &[0, 1])?, put(8, &[8])?];
    seeds.push(few.concat());
    Some(seeds)
}

/// One of each message that a relay may send.
fn alone(town: &Town) -> Vec<Message> {
    let sender = town.alice.key();
    let wall = NOW.after(Duration::from_millis(1));
    let blob = |length: usize| vec![1u8; length].into();
    let stored =
        |seq: u64| StoredMessage { message_id: seq, sender, timestamp: wall, encrypted_blob: blob(60), seq: Some(seq) };
    let relay_time = wall;
    let registered = RelayRegistered { policy: Policy::default().to_wire(), pending: 3, one_time_left: 0, relay_time };
    let batch =
        MessageBatch { messages: vec![stored(1), stored(4)], has_more: true, next: Some(4), confirmations: None };
    let answer = StoreResponse {
        success: false,
        stored_at: wall,
        message_id: 101,
        recipient: Some(sender),
        error_code: Some(22),
        retry_after_s: Some(9),
    };
    let mut messages: Vec<Message> =
        vec![registered.into(), batch.into(), answer.into(), PrekeysPublished { one_time_left: 2 }.into()];
    messages.extend(town.prekeys.iter().cloned().map(Message::from));
    messages
}

//! Hostile clients of a relay: each is refused with the profile's error, while two people go on talking by it.

use crate::client::{Client, Honest, id, key, open, rest};
use crate::servers::Running;
use std::net::Ipv4Addr;
use tokio::io::AsyncWriteExt;
use waypost_core::Wall;
use waypost_sremp::ed25519::Signature;
use waypost_sremp::message::{
    ChunkHeader, ChunkedMessage, DeliveryConfirmation, DiscardMessage, FetchPrekeys, PublishPrekeys, RelayRegister,
    RetrieveMessages, SignedBundle, SignedOneTime,
};
use waypost_sremp::msgpack::Blob;
use waypost_sremp::relay::Role;
use waypost_sremp::version::OWN_HEADER;
use waypost_sremp::{ErrorCode, Message};

/// SR-8.1a, SR-8.1b
#[tokio::test(flavor = "multi_thread")]
async fn a_registration_holds_on_its_own_connection_only() {
    let server = Running::start().await;
    let mut honest = Honest::start(&server).await;
    let mut first = Client::connect(3, &server).await;
    let overheard = first.registration();
    first.register(false).await;
    honest.talk().await;
    // The same person on another connection, somebody else, and a signature for another request.
    for (seed, request) in
        [(3, overheard.clone()), (4, overheard.clone()), (4, RelayRegister { identity: id(4), ..overheard.clone() })]
    {
        let mut thief = Client::connect(seed, &server).await;
        thief.send(&request.into()).await;
        assert_eq!(thief.fatal().await, ErrorCode::Auth);
    }
    let mut confused = Client::connect(4, &server).await;
    let auth_signature = confused.auth(Role::Retrieve);
    let request = RelayRegister { auth_signature, ..confused.registration() };
    confused.send(&request.into()).await;
    assert_eq!(confused.fatal().await, ErrorCode::Auth);
    assert_eq!(first.store(2, 1, 10).await, 0, "whom they imitate is not disturbed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_for_who_has_not_registered() {
    let server = Running::start().await;
    let mut honest = Honest::start(&server).await;
    let requests = |client: &Client| -> [Message; 6] {
        [
            client.letter(2, 1, vec![1]).into(),
            RetrieveMessages {
                since: None,
                after: None,
                limit: None,
                identity: id(3),
                auth_signature: client.auth(Role::Retrieve),
            }
            .into(),
            DeliveryConfirmation::signed(&key(3), id(1), 1, Wall::from_millis(1)).into(),
            DiscardMessage { sender: id(1), message_id: 1 }.into(),
            FetchPrekeys { target: id(2) }.into(),
            too_many_prekeys().into(),
        ]
    };
    for number in 0..6 {
        let mut client = Client::connect(3, &server).await;
        let [request] = requests(&client).into_iter().skip(number).take(1).collect::<Vec<_>>().try_into().unwrap();
        client.send(&request).await;
        assert_eq!(client.fatal().await, ErrorCode::Auth, "{number}");
        honest.talk().await;
    }
    server.stop().await;
}

/// SR-8.2a, SR-8.2b
#[tokio::test(flavor = "multi_thread")]
async fn letters_with_forged_signatures_or_for_nobody_or_too_large_are_refused_and_the_connection_goes_on() {
    let server = Running::with(|config| config.relay.max_message_size = 2000).await;
    let mut honest = Honest::start(&server).await;
    let mut client = Client::registered(3, &server).await;
    let good = client.letter(2, 900, vec![1; 10]);
    let mut forged = good.clone();
    forged.sender_signature = Signature([7; 64]);
    // Somebody else's letter, stored in the own name, and one whose recipient or content was changed.
    let foreign = Client::registered(4, &server).await.letter(2, 900, vec![1; 10]);
    let mut redirected = good.clone();
    redirected.recipient = id(1);
    let mut altered = good.clone();
    altered.encrypted_blob = vec![2; 10].into();
    for letter in [forged, foreign, redirected, altered] {
        let response = client.stored(letter).await;
        assert_eq!((response.success, response.error_code), (false, Some(ErrorCode::Auth.value())));
        honest.talk().await;
    }
    assert_eq!(client.store(99, 901, 10).await, ErrorCode::NoMailbox.value());
    assert_eq!(client.store(2, 902, 2001).await, ErrorCode::TooLarge.value());
    assert_eq!(client.store(2, 903, 0).await, ErrorCode::TooLarge.value());
    assert_eq!(client.stored(good.clone()).await.error_code, None);
    assert_eq!(client.stored(good).await.error_code, None, "the same again");
    assert_eq!(client.store(2, 900, 11).await, ErrorCode::Conflict.value());
    server.stop().await;
}

/// SR-8.2d, SR-8.2f
#[tokio::test(flavor = "multi_thread")]
async fn nobody_confirms_or_discards_the_letters_of_others() {
    let server = Running::start().await;
    let mut honest = Honest::start(&server).await;
    let mut recipient = Client::registered(5, &server).await;
    let mut sender = Client::registered(3, &server).await;
    assert_eq!(sender.store(5, 7, 100).await, 0);
    // Fatal: in another's name, and with a signature that is not that of the own name.
    let in_another_name = DeliveryConfirmation::signed(&key(5), id(3), 7, Wall::from_millis(1));
    let mut eve = Client::registered(4, &server).await;
    eve.send(&in_another_name.into()).await;
    assert_eq!(eve.fatal().await, ErrorCode::Auth);
    let mut forged = DeliveryConfirmation::signed(&key(4), id(3), 7, Wall::from_millis(1));
    forged.delivered_to = id(5);
    let mut recipient_too = Client::registered(5, &server).await;
    recipient_too.send(&forged.into()).await;
    assert_eq!(recipient_too.fatal().await, ErrorCode::Auth);
    honest.talk().await;
    // Not fatal: the own mailbox has no such letter.
    let mut eve = Client::registered(4, &server).await;
    let own = DeliveryConfirmation::signed(&key(4), id(3), 7, Wall::from_millis(1));
    for sender in [Some(id(3)), None] {
        let confirmation = DeliveryConfirmation { sender, ..own.clone() };
        assert_eq!(eve.refused(&confirmation.into()).await, ErrorCode::NotFound);
    }
    let discard = DiscardMessage { sender: id(3), message_id: 7 };
    assert_eq!(eve.refused(&discard.into()).await, ErrorCode::NotFound);
    honest.talk().await;
    let batch = recipient.retrieve(0).await;
    assert_eq!(batch.messages.iter().map(|message| message.message_id).collect::<Vec<_>>(), [7]);
    assert!(sender.retrieve(0).await.confirmations.is_none(), "nobody was told that it arrived");
    server.stop().await;
}

/// SR-11.1
#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_fast_or_takes_too_much_room_is_told_so() {
    let quotas = |config: &mut waypost_server::Config| {
        let relay = &mut config.relay;
        (relay.sender_messages, relay.quota_messages, relay.sender_bytes) = (10, 15, 20_000);
    };
    let server = Running::with(quotas).await;
    let mut honest = Honest::start(&server).await;
    let _mailbox = Client::registered(5, &server).await;
    let mut greedy = Client::registered(3, &server).await;
    for message_id in 0..10 {
        assert_eq!(greedy.store(5, message_id, 10).await, 0);
    }
    assert_eq!(greedy.store(5, 10, 10).await, ErrorCode::Quota.value(), "letters of a sender");
    honest.talk().await;
    let mut other = Client::registered(4, &server).await;
    assert_eq!(other.store(5, 0, 20_001).await, ErrorCode::Quota.value(), "bytes of a sender");
    for message_id in 1..6 {
        assert_eq!(other.store(5, message_id, 10).await, 0);
    }
    assert_eq!(other.store(5, 6, 10).await, ErrorCode::Quota.value(), "letters of a mailbox");
    honest.talk().await;
    // 60 a minute, and 11 were asked for before.
    for message_id in 20..69 {
        assert_eq!(greedy.store(5, message_id, 10).await, ErrorCode::Quota.value(), "{message_id}");
    }
    let letter = greedy.letter(5, 70, vec![1; 10]);
    let response = greedy.stored(letter).await;
    assert_eq!(response.error_code, Some(ErrorCode::Rate.value()));
    assert!(response.retry_after_s.is_some_and(|wait| (1..=60).contains(&wait)), "{response:?}");
    for _ in 0..30 {
        assert!(greedy.retrieve(0).await.messages.is_empty());
    }
    let auth_signature = greedy.auth(Role::Retrieve);
    let retrieve = RetrieveMessages { identity: id(3), auth_signature, since: None, after: None, limit: None };
    assert_eq!(greedy.refused(&retrieve.into()).await, ErrorCode::Rate);
    honest.talk().await;
    for _ in 0..5 {
        assert_eq!(greedy.refused(&FetchPrekeys { target: id(77) }.into()).await, ErrorCode::NotFound);
    }
    assert_eq!(greedy.refused(&FetchPrekeys { target: id(77) }.into()).await, ErrorCode::Rate);
    honest.talk().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_lists_and_limits_are_refused_and_the_connection_goes_on() {
    let server = Running::start().await;
    let mut honest = Honest::start(&server).await;
    let mut client = Client::registered(3, &server).await;
    for limit in [0, 257, u16::MAX] {
        let auth_signature = client.auth(Role::Retrieve);
        let retrieve =
            RetrieveMessages { identity: id(3), auth_signature, since: None, after: None, limit: Some(limit) };
        assert_eq!(client.refused(&retrieve.into()).await, ErrorCode::Limit);
    }
    assert_eq!(client.refused(&too_many_prekeys().into()).await, ErrorCode::Limit);
    let unknown = client.seal(b"\x81\xa7UNKNOWN\x80");
    client.write(&unknown).await.unwrap();
    assert!(matches!(client.next().await, Some(Message::Error(error)) if error.code == 6 && !error.fatal));
    honest.talk().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_or_larger_than_any_message_ends_the_connection_and_no_other() {
    let server = Running::start().await;
    let mut honest = Honest::start(&server).await;
    let chunk = |total_chunks, chunk_index, length: u16| -> Vec<u8> {
        let header = ChunkHeader { message_id: 1, chunk_index, total_chunks, chunk_size: length };
        Message::ChunkedMessage(ChunkedMessage { header, payload: Blob(vec![0; usize::from(length)]) }).encode()
    };
    // Whole messages of 1 MiB and one byte, of 65,537 bytes by a stranger, and of 65 chunks.
    let mebibyte = (0..17).map(|index| chunk(18, index, 61_440)).chain([chunk(18, 17, 4_097)]).collect();
    let cases: [(bool, Vec<Vec<u8>>, ErrorCode); 6] = [
        (true, mebibyte, ErrorCode::Limit),
        (false, vec![chunk(2, 0, 61_440), chunk(2, 1, 4_097)], ErrorCode::Limit),
        (true, vec![chunk(65, 0, 10)], ErrorCode::Limit),
        (true, vec![b"\x81\xaaPUBLISH_PR\xdd\xff\xff\xff\xff".to_vec()], ErrorCode::Malformed),
        (true, vec![vec![0x91; 65_000]], ErrorCode::Malformed),
        (true, vec![b"garbage".to_vec()], ErrorCode::Malformed),
    ];
    for (is_registered, plaintexts, code) in cases {
        let mut client = Client::connect(3, &server).await;
        if is_registered {
            client.register(false).await;
        }
        for plaintext in plaintexts {
            let frame = client.seal(&plaintext);
            // Who is refused meanwhile finds the connection closed.
            let _ = client.write(&frame).await;
        }
        assert_eq!(client.fatal().await, code);
        honest.talk().await;
    }
    // A frame that is none, and one that nobody sealed.
    for bytes in [
        &b"\x00\x10aaaaaaaaaaaaaaaa"[..],
        &[0, 0],
        &[0, 20, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    ] {
        let mut client = Client::registered(3, &server).await;
        client.write(bytes).await.unwrap();
        assert!(!matches!(client.next().await, Some(Message::StoreResponse(_))));
        honest.talk().await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_both_ports_gets_no_answer_and_disturbs_nobody() {
    let server = Running::start().await;
    let mut honest = Honest::start(&server).await;
    let noise: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for bytes in [&b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n"[..], &noise, b"SREMQ\x01\x00", &[0; 7]] {
        let mut stream = open(Ipv4Addr::LOCALHOST, server.relay(), None).await.unwrap();
        let _ = stream.write_all(bytes).await;
        assert!(rest(&mut stream).await.is_empty());
        let mut stream = open(Ipv4Addr::LOCALHOST, server.rendezvous_at(), None).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let answer = rest(&mut stream).await;
        // At most a TLS alert.
        assert!(answer.is_empty() || (answer[0] == 21 && answer.len() == 7), "{answer:?}");
        honest.talk().await;
    }
    for (bytes, answer) in [(&b"SREMP\x02\x00"[..], 7), (b"SREMP\x01\x00\x00\x21", 7)] {
        let mut stream = open(Ipv4Addr::LOCALHOST, server.relay(), None).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let said = rest(&mut stream).await;
        assert_eq!((said.len(), &said[..5]), (answer, &OWN_HEADER.to_bytes()[..5]));
    }
    honest.talk().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_20_connections_at_each_port_and_a_network_64_that_say_nothing() {
    let server = Running::start().await;
    let mut honest = Honest::start(&server).await;
    for port in [server.relay(), server.rendezvous_at()] {
        let from = Ipv4Addr::new(127, 8, 0, 1);
        let mut inside = Vec::new();
        for _ in 0..20 {
            inside.push(open(from, port, None).await.unwrap());
        }
        let mut one_more = open(from, port, None).await.unwrap();
        assert!(rest(&mut one_more).await.is_empty());
        honest.talk().await;
    }
    // Not more than 64 of a network wait for their identity, whatever the address.
    let mut flood = Vec::new();
    for n in 0..80u8 {
        flood.push(open(Ipv4Addr::new(127, 9, 0, 1 + n % 8), server.relay(), None).await.unwrap());
    }
    honest.talk().await;
    let from_the_flood = Client::connect_from(6, Ipv4Addr::new(127, 9, 0, 99), &server).await;
    assert!(from_the_flood.is_err(), "there is no room for that network");
    let mut elsewhere = Client::connect_from(6, Ipv4Addr::new(127, 9, 1, 1), &server).await.unwrap();
    elsewhere.register(false).await;
    honest.talk().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_nobody_waits_for_are_answered_in_order_or_refused_with_limit() {
    let server = Running::start().await;
    let mut honest = Honest::start(&server).await;
    let _mailbox = Client::registered(5, &server).await;
    // 32 at a time are the client's right.
    let mut client = Client::registered(3, &server).await;
    for message_id in 0..32 {
        let letter = client.letter(5, 1000 + message_id, vec![1; 60_000]);
        client.send(&letter.into()).await;
    }
    for message_id in 0..32 {
        assert!(
            matches!(client.next().await, Some(Message::StoreResponse(said)) if said.message_id == 1000 + message_id)
        );
    }
    // 3,000 are not.
    let mut frames = Vec::new();
    for message_id in 0..3000u64 {
        let letter = client.letter(5, 5000 + message_id, vec![1; if message_id < 30 { 60_000 } else { 100 }]);
        frames.extend(client.seal(&Message::from(letter).encode()));
    }
    let talking = tokio::spawn(async move {
        for _ in 0..20 {
            honest.talk().await;
        }
    });
    let _ = client.write(&frames).await;
    let mut answered = 0;
    loop {
        match client.next().await {
            Some(Message::StoreResponse(said)) => {
                assert_eq!(said.message_id, 5000 + answered);
                answered += 1;
            }
            Some(Message::Error(error)) => {
                assert_eq!((error.code, error.fatal), (ErrorCode::Limit.value(), true));
                break;
            }
            None => break,
            other => panic!("{other:?}"),
        }
        if answered == 3000 {
            break;
        }
    }
    talking.await.unwrap();
    server.stop().await;
}

/// 101 one-time items, whatever they are.
fn too_many_prekeys() -> PublishPrekeys {
    let (nothing, signature) = (Blob(vec![0x80]), Signature([1; 64]));
    let one_time = vec![SignedOneTime { item: nothing.clone(), signature }; 101];
    PublishPrekeys { bundle: SignedBundle { bundle: nothing, signature }, one_time }
}

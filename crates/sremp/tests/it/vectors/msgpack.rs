//! SR-10.1a, SR-10.1b, SR-10.1c, SR-10.1d

use super::code;
use serde_json::{Map, Value, json};
use waypost_sremp::{Message, msgpack};
use waypost_testkit::vectors::{self, Outcome};

/// SR-10.1c
#[test]
fn messages_are_read_and_written_as_stated() {
    for case in vectors::load("sremp", "msgpack.json") {
        let bytes = case.input().only(&["message"]).hex("message");
        let read = code(Message::decode(&bytes));
        // What is only unknown is answered by ERROR 6.
        let read = match read {
            Ok(Message::Unknown { .. }) => Err("unsupported"),
            read => read,
        };
        match case.outcome() {
            Outcome::Error(error) => assert_eq!(read.unwrap_err(), error, "{case}"),
            Outcome::Expect(expect) => {
                expect.only(&["name", "body", "encoded"]);
                let message = read.unwrap_or_else(|error| panic!("{case}: {error}"));
                assert_eq!(message.name(), expect.str("name"), "{case}");
                let encoded = message.encode();
                assert_eq!(encoded, expect.hex("encoded"), "{case}");
                assert_eq!(Message::decode(&encoded), Ok(message), "{case}");
                let body = json(&encoded);
                assert_eq!(body, json!({ expect.str("name"): expect.at("body").value() }), "{case}");
            }
        }
    }
}

/// What the bytes hold, with bytes as hex.
fn json(bytes: &[u8]) -> Value {
    msgpack::check(bytes).unwrap();
    let (value, rest) = item(bytes);
    assert!(rest.is_empty());
    value
}

/// A small reader of its own, so that the writer is not judged by the reader beside it.
fn item(bytes: &[u8]) -> (Value, &[u8]) {
    let (&first, rest) = bytes.split_first().unwrap();
    let number = |n: usize| rest[..n].iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
    let bytes_of = |n: usize| rest[n..].split_at(number(n) as usize);
    let text = |bytes: &[u8]| Value::from(std::str::from_utf8(bytes).unwrap());
    match first {
        0..=0x7f => (json!(first), rest),
        0x80..=0x8f => {
            let mut map = Map::new();
            let mut rest = rest;
            for _ in 0..first & 0xf {
                let (key, after) = item(rest);
                let (value, after) = item(after);
                map.insert(key.as_str().unwrap().to_owned(), value);
                rest = after;
            }
            (Value::Object(map), rest)
        }
        0x90..=0x9f => {
            let mut rest = rest;
            let list = (0..first & 0xf).map(|_| {
                let (value, after) = item(rest);
                rest = after;
                value
            });
            (Value::Array(list.collect()), rest)
        }
        0xa0..=0xbf => (text(&rest[..usize::from(first & 0x1f)]), &rest[usize::from(first & 0x1f)..]),
        0xc2 | 0xc3 => (json!(first == 0xc3), rest),
        0xc4..=0xc6 => {
            let (bytes, rest) = bytes_of(1 << (first - 0xc4));
            (json!(hex::encode(bytes)), rest)
        }
        0xcc..=0xcf => (json!(number(1 << (first - 0xcc))), &rest[1 << (first - 0xcc)..]),
        0xd9..=0xdb => {
            let (bytes, rest) = bytes_of(1 << (first - 0xd9));
            (text(bytes), rest)
        }
        other => panic!("{other:#x} is not written by messages this short"),
    }
}

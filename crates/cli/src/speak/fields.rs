//! A message of the wire as the fields of an event: names as they are, bytes in hex.

use serde_json::{Map, Value};
use waypost_sremp::message::Message;
use waypost_sremp::msgpack::Reader;
use waypost_sremp::{Error, ErrorCode};

use super::lines::Event;

/// 64-bit ids: decimal text, because many JSON readers spoil numbers that long.
const IDS: [&str; 2] = ["message_id", "nonce"];

/// An event of the message's name in small letters, with all its fields; `error` has the code's name too.
pub(super) fn event(message: &Message) -> Event {
    let event = Event::new(message.name().to_ascii_lowercase());
    match message {
        // What a bare client is told is an answer to what it was told to send.
        Message::Error(error) => event
            .with("by", "peer")
            .with("code", error.known_code().map_or("unknown", ErrorCode::name))
            .with("number", error.code)
            .with("fatal", error.fatal)
            .with("deviation", false)
            .with_some("message_id", error.message_id.map(|id| id.to_string()))
            .with_some("request", error.request.as_deref())
            .with_some("retry_after_s", error.retry_after_s),
        message => event.with_all(of(&message.encode()).unwrap_or_default()),
    }
}

fn of(message: &[u8]) -> Result<Map<String, Value>, Error> {
    let mut reader = Reader::new(message)?;
    reader.map()?;
    reader.str()?;
    map(&mut reader)
}

fn map(reader: &mut Reader<'_>) -> Result<Map<String, Value>, Error> {
    let mut fields = Map::new();
    for _ in 0..reader.map()? {
        let name = reader.str()?;
        let value = match value(reader)? {
            Value::Number(id) if IDS.contains(&name) => id.to_string().into(),
            value => value,
        };
        fields.insert(name.to_owned(), value);
    }
    Ok(fields)
}

fn value(reader: &mut Reader<'_>) -> Result<Value, Error> {
    if reader.nil() {
        return Ok(Value::Null);
    }
    let mut ahead = reader.clone();
    let value = if let Ok(number) = ahead.uint() {
        number.into()
    } else if let Ok(yes) = {
        ahead = reader.clone();
        ahead.bool()
    } {
        yes.into()
    } else if let Ok(text) = {
        ahead = reader.clone();
        ahead.str()
    } {
        text.into()
    } else if let Ok(bytes) = {
        ahead = reader.clone();
        ahead.bin()
    } {
        hex::encode(bytes).into()
    } else if let Ok(count) = {
        ahead = reader.clone();
        ahead.array()
    } {
        let items = (0..count).map(|_| value(&mut ahead)).collect::<Result<Vec<_>, _>>()?;
        items.into()
    } else {
        ahead = reader.clone();
        map(&mut ahead)?.into()
    };
    *reader = ahead;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use waypost_core::{ContactId, Wall};
    use waypost_sremp::message::{MessageBatch, StoredMessage};

    #[test]
    fn shows_every_field_of_a_message() {
        let stored = StoredMessage {
            message_id: u64::MAX,
            sender: ContactId::from_bytes([0xab; 32]),
            timestamp: Wall::from_millis(7),
            encrypted_blob: vec![1, 0xff].into(),
            seq: Some(3),
        };
        let batch = MessageBatch { messages: vec![stored], has_more: true, next: Some(3), confirmations: None };
        let shown = serde_json::to_value(event(&batch.into())).unwrap();
        let stored = json!({"message_id": u64::MAX.to_string(), "sender": "ab".repeat(32), "timestamp": 7,
            "encrypted_blob": "01ff", "seq": 3});
        assert_eq!(shown, json!({"event": "message_batch", "messages": [stored], "has_more": true, "next": 3}));
    }
}

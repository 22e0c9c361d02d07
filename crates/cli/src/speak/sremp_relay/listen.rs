//! A relay that shows what it does.

use super::ListenArgs;
use crate::speak::{BadInput, lines::Event, serving};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use waypost_core::{ContactId, Wall};
use waypost_net::Clock;
use waypost_server::{Data, Extras, RelayKeys, Role, Seen};
use waypost_sremp::message::{DeliveryConfirmation, Message, MessageBatch};
use waypost_sremp::{ErrorCode, LinkId};

/// Serves until the end of stdin.
pub(super) async fn run(args: ListenArgs) -> anyhow::Result<bool> {
    let mut config = args.serving.config("relay")?;
    config.relay.listen = vec![crate::speak::resolve(&args.at).await?];
    args.keys.username().clone_into(&mut config.relay.name);
    let folder = args.serving.folder()?;
    let keys = if args.keys.is_given() || !args.serving.keeps() {
        let (keys, now) = (args.keys.load()?, Clock::start().now().wall);
        let (name, version) = (keys.identity.username(), keys.identity.version());
        RelayKeys::new(&keys.signing, keys.noise.clone(), name, version, now)
    } else {
        let now: Wall = Clock::start().now().wall;
        RelayKeys::load(&Data::open(folder.path())?.relay_keys(), args.keys.username(), now, &mut rand::rng())
    };
    let keys = keys.map_err(|_| BadInput("the user name or the key file is not allowed"))?;
    let identity = keys.identity().clone();
    let clients = Mutex::new(HashMap::new());
    let observer = Arc::new(move |seen: Seen<'_>| {
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = event(&mut clients, seen) {
            // The relay works on when nobody reads what it does.
            let _nobody_reads = event.print();
        }
    });
    let extras = Extras { relay_keys: Some(keys), observer: Some(observer) };
    serving::serve(&config, Role::Relay, &folder, extras, |event, _| {
        event
            .with("identity_key", identity.key().to_string())
            .with("noise_key", hex::encode(identity.noise_key().0))
            .with("username", identity.username())
            .with("version", identity.version().to_string())
    })
    .await
}

/// What is told of one thing that was seen.
fn event(clients: &mut HashMap<LinkId, ContactId>, seen: Seen<'_>) -> Option<Event> {
    match seen {
        Seen::Connected { link, identity, handshake_hash } => {
            clients.insert(link, identity.key());
            let event = Event::new("connected").with("identity_key", identity.key().to_string());
            Some(event.with("username", identity.username()).with("handshake_hash", hex::encode(handshake_hash)))
        }
        Seen::Closed(link) => {
            let client = clients.remove(&link)?;
            Some(Event::new("closed").with("identity_key", client.to_string()))
        }
        Seen::Received(link, message) => received(clients.get(&link)?, message),
        Seen::Sent(link, message) => sent(clients.get(&link)?, message),
        _ => None,
    }
}

fn received(client: &ContactId, message: &Message) -> Option<Event> {
    match message {
        Message::DeliveryConfirmation(confirmation) => Some(
            Event::new("delivered")
                .with("recipient", client.to_string())
                .with_some("sender", confirmation.sender.map(|sender| sender.to_string()))
                .with("message_id", confirmation.message_id.to_string()),
        ),
        Message::DiscardMessage(discard) => Some(
            Event::new("discarded")
                .with("recipient", client.to_string())
                .with("sender", discard.sender.to_string())
                .with("message_id", discard.message_id.to_string()),
        ),
        _ => None,
    }
}

fn sent(client: &ContactId, message: &Message) -> Option<Event> {
    let client = client.to_string();
    Some(match message {
        Message::RelayRegistered(registered) => Event::new("registered")
            .with("identity_key", client)
            .with("pending", registered.pending)
            .with("one_time_left", registered.one_time_left),
        Message::StoreResponse(response) => {
            let recipient = response.recipient.map(|recipient| recipient.to_string());
            let id = response.message_id.to_string();
            match response.error_code {
                None => Event::new("stored")
                    .with("sender", client)
                    .with_some("recipient", recipient)
                    .with("message_id", id)
                    .with("stored_at", response.stored_at.as_millis()),
                Some(code) => refused(client, code)
                    .with("request", "STORE_MESSAGE")
                    .with_some("recipient", recipient)
                    .with("message_id", id)
                    .with_some("retry_after_s", response.retry_after_s),
            }
        }
        Message::MessageBatch(batch) => given(client, batch),
        Message::DeliveryConfirmation(confirmation) => Event::new("pushed")
            .with("identity_key", client)
            .with("messages", Vec::<Value>::new())
            .with("confirmations", vec![confirmed(confirmation)]),
        Message::PrekeysPublished(published) => {
            Event::new("published").with("identity_key", client).with("one_time_left", published.one_time_left)
        }
        Message::Prekeys(prekeys) => Event::new("prekeys")
            .with("identity_key", client)
            .with("target", prekeys.target.to_string())
            .with("one_time", prekeys.one_time.is_some()),
        Message::Error(error) => refused(client, error.code)
            .with_some("request", error.request.as_deref())
            .with_some("message_id", error.message_id.map(|id| id.to_string()))
            .with_some("retry_after_s", error.retry_after_s)
            .with("fatal", error.fatal),
        _ => return None,
    })
}

fn given(client: String, batch: &MessageBatch) -> Event {
    let name = if batch.next.is_some() { "retrieved" } else { "pushed" };
    let messages: Vec<Value> = batch
        .messages
        .iter()
        .map(|stored| {
            json!({ "sender": stored.sender.to_string(), "message_id": stored.message_id.to_string(),
                "seq": stored.seq })
        })
        .collect();
    let confirmations: Vec<Value> = batch.confirmations.iter().flatten().map(confirmed).collect();
    Event::new(name)
        .with("identity_key", client)
        .with("messages", messages)
        .with("confirmations", confirmations)
        .with_some("next", batch.next)
        .with("has_more", batch.has_more)
}

fn confirmed(confirmation: &DeliveryConfirmation) -> Value {
    json!({ "delivered_to": confirmation.delivered_to.to_string(),
        "message_id": confirmation.message_id.to_string(), "seq": confirmation.seq })
}

fn refused(client: String, code: u16) -> Event {
    let name = ErrorCode::from_value(code).map_or("unknown", ErrorCode::name);
    Event::new("refused").with("identity_key", client).with("code", name)
}

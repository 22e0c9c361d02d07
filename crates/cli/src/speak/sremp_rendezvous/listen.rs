//! A rendezvous server that shows what it does.

use super::ListenArgs;
use crate::speak::{lines::Event, serving};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use waypost_server::{Extras, Role, Seen};
use waypost_sremp::message::{Message, RegisterRequest};
use waypost_sremp::rendezvous::ServerUri;
use waypost_sremp::{ErrorCode, LinkId};

/// Requests that wait for their answers, which come in order.
type Requests = HashMap<LinkId, VecDeque<Message>>;

/// Serves until the end of stdin.
pub(super) async fn run(args: ListenArgs) -> anyhow::Result<bool> {
    let mut config = args.serving.config("rendezvous")?;
    config.rendezvous.listen = vec![crate::speak::resolve(&args.at).await?];
    let folder = args.serving.folder()?;
    let requests = Mutex::new(Requests::new());
    let observer = Arc::new(move |seen: Seen<'_>| {
        let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = event(&mut requests, seen) {
            // The server works on when nobody reads what it does.
            let _nobody_reads = event.print();
        }
    });
    let extras = Extras { observer: Some(observer), ..Extras::default() };
    serving::serve(&config, Role::Rendezvous, &folder, extras, |event, facts| {
        let pin = facts.address.parse::<ServerUri>().ok().and_then(|uri| uri.pin);
        event.with_some("spki", pin.map(hex::encode))
    })
    .await
}

/// What is told of one thing that was seen.
fn event(requests: &mut Requests, seen: Seen<'_>) -> Option<Event> {
    match seen {
        Seen::Opened { link, address } => {
            requests.insert(link, VecDeque::new());
            Some(Event::new("connected").with("link", link.0).with("remote", address.to_string()))
        }
        Seen::Received(link, message) => {
            requests.get_mut(&link)?.push_back(message.clone());
            None
        }
        Seen::Sent(link, message) => {
            let request = requests.get_mut(&link)?.pop_front();
            Some(answered(request.as_ref(), message)?.with("link", link.0))
        }
        Seen::Closed(link) => {
            requests.remove(&link)?;
            Some(Event::new("closed").with("link", link.0))
        }
        _ => None,
    }
}

fn answered(request: Option<&Message>, answer: &Message) -> Option<Event> {
    Some(match (request, answer) {
        (Some(Message::RegisterRequest(request)), Message::RegisterResponse(response)) => {
            let event = match response.error_code {
                None if request.ttl_seconds == 0 => Event::new("left"),
                None => Event::new("registered").with("expires_at", response.expires_at.as_millis()),
                Some(code) => refused("REGISTER_REQUEST", code),
            };
            registration(event, request)
        }
        (Some(Message::LookupRequest(request)), Message::LookupResponse(response)) => match response.error_code {
            Some(code) => refused("LOOKUP_REQUEST", code),
            None => match request.target_identity {
                Some(target) => Event::new("looked_up").with("target", target.to_string()),
                None => Event::new("listed").with_some("next", response.next.map(|next| next.to_string())),
            }
            .with("found", response.peers.len()),
        },
        (_, Message::ListServersResponse(response)) => Event::new("servers").with("told", response.servers.len()),
        (request, Message::Error(error)) => {
            let request = request.map_or("", Message::name);
            refused(request, error.code).with("fatal", error.fatal)
        }
        _ => return None,
    })
}

fn registration(event: Event, request: &RegisterRequest) -> Event {
    let identity = request.identity.verify().ok().map(|identity| identity.key().to_string());
    event
        .with_some("identity_key", identity)
        .with("host", request.endpoint.host.as_str())
        .with("port", request.endpoint.port)
        .with("ttl_seconds", request.ttl_seconds)
        .with("seq", request.seq)
}

fn refused(request: &str, code: u16) -> Event {
    let name = ErrorCode::from_value(code).map_or("unknown", ErrorCode::name);
    Event::new("refused").with("request", request).with("code", name)
}

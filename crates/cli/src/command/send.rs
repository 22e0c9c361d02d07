//! `waypost send`.

use crate::args::Send;
use crate::command::{letters::find, with_session};
use crate::context::{Context, read_input};
use crate::failure::{Exit, Failure};
use crate::output::clean_line;
use crate::session::{Network, Session, SessionEvents};
use serde::Serialize;
use std::io::{self, IsTerminal};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use waypost_core::{Body, ContactId, ErrorKind, LetterId};
use waypost_node::Event;
use waypost_node::method::{ContactRef, LettersSend, SendLetter, SentLetter};

/// What became of the letter.
#[derive(Debug, Serialize)]
struct Sent {
    id: LetterId,
    contact: ContactId,
    state: String,
    reason: Option<String>,
}

/// Writes a letter and waits for its delivery.
pub(crate) async fn run(context: &Context, args: Send) -> Result<(), Failure> {
    // Input first: a node is not kept waiting for somebody who types.
    let text = if args.react.is_some() || args.delete.is_some() { String::new() } else { read_text(&args)? };
    with_session(context, Network::Dial, async |session| {
        let to = ContactRef(args.to.clone());
        let body = body(session, &args, &to, text).await?;
        let mut events = session.events().await?;
        let sent = session.call::<LettersSend>(SendLetter { to, id: args.id, body }).await?;
        let sent = wait(session, &mut events, sent, args.wait).await?;
        report(context, session, &args, &sent)
    })
    .await
}

async fn body(session: &Session, args: &Send, to: &ContactRef, text: String) -> Result<Body, Failure> {
    Ok(if let Some(letter) = &args.reply_to {
        Body::Reply { to: find(session, letter, Some(to)).await?, text }
    } else if let Some([letter, emoji]) = args.react.as_deref() {
        Body::Reaction { to: find(session, letter, Some(to)).await?, emoji: emoji.clone() }
    } else if let Some(letter) = &args.edit {
        Body::Edit { to: find(session, letter, Some(to)).await?, text }
    } else if let Some(letter) = &args.delete {
        Body::Delete { to: find(session, letter, Some(to)).await? }
    } else {
        Body::Text { text }
    })
}

fn read_text(args: &Send) -> Result<String, Failure> {
    let text = match args.text.as_deref() {
        Some("-") => None,
        Some(text) => Some(text.to_owned()),
        None if io::stdin().is_terminal() => {
            let hint = "write it behind the name, or - to type it until Ctrl-D";
            return Err(Failure::bad_input("a text is needed").or_hint(hint));
        }
        None => None,
    };
    let text = match text {
        Some(text) => text,
        None => read_input()?,
    };
    let text = text.trim_end_matches(['\n', '\r']).to_owned();
    if text.is_empty() {
        return Err(Failure::bad_input("the text is empty").or_hint("write something"));
    }
    Ok(text)
}

/// Follows the letter until it is delivered, has failed, or the time is over.
async fn wait(session: &Session, events: &mut SessionEvents, sent: SentLetter, secs: u32) -> Result<Sent, Failure> {
    let SentLetter { id, contact, state } = sent;
    let mut sent = Sent { id, contact, state, reason: None };
    let deadline = Instant::now() + Duration::from_secs(secs.into());
    while secs > 0 && !is_final(&sent.state) {
        match timeout_at(deadline, events.next()).await {
            Ok(Some(Event::State { letter, state, .. })) if letter == id => sent.state = state,
            Ok(Some(Event::Missed { .. })) => {
                if let Some(entry) = session.own_letter(contact, id).await? {
                    sent.state = entry.state;
                }
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    if sent.state == "failed" {
        sent.reason = session.own_letter(contact, id).await?.and_then(|entry| entry.reason);
    }
    Ok(sent)
}

/// Whether a letter in this state has come to its end, as far as its sender waits for it.
pub(super) fn is_final(state: &str) -> bool {
    matches!(state, "delivered" | "read" | "failed")
}

fn report(context: &Context, session: &Session, args: &Send, sent: &Sent) -> Result<(), Failure> {
    context.output.result(sent, |sent| format!("{}  {}", sent.state, sent.id))?;
    let name = clean_line(&args.to);
    match sent.state.as_str() {
        "delivered" | "read" => Ok(()),
        "failed" => {
            let reason = clean_line(sent.reason.as_deref().unwrap_or("the reason is not known"));
            let failure = Failure::new(ErrorKind::Refused, format!("the letter was not delivered: {reason}"));
            Err(failure.or_hint("`waypost trace` with the letter's id shows what was tried"))
        }
        state => {
            let so_far = match state {
                "queued" => format!("{name} was not reached yet"),
                "sent" => format!("it was sent, but {name}'s node has not confirmed it yet"),
                _ => format!("it waits for {name} where it can be fetched"),
            };
            let then = if session.is_daemon() {
                "the running node goes on trying"
            } else {
                "it goes on when a node runs again: `waypost up`"
            };
            context.output.talk(&format!("The letter is on disk; {so_far}; {then}."));
            if args.wait == 0 { Ok(()) } else { Err(Failure::Told(Exit::Unreachable)) }
        }
    }
}

//! `waypost link send` and `receive`: a file over a keyed link, through broken connections. The messages are in
//! `docs/manual/link.md`, How files travel.
//!
//! ```text
//! sender:   OFFER         START         data .. END
//! receiver:        ACCEPT        GO                  DONE
//! ```

mod meeting;
mod message;
mod name;
mod partial;
mod prefix;
mod progress;
mod receive;
mod send;

pub(super) use receive::run as receive;
pub(super) use send::run as send;

use super::ending;
use crate::failure::{Exit, Failure, LinkExit};
use crate::output::clean_line;
use meeting::Meeting;
use message::{Malformed, Message, Reason};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use waypost_core::ErrorKind;
use waypost_framelink::code::error;
use waypost_framelink::link::Status;
use waypost_net::Error;
use waypost_net::framelink::Link;

/// For the other side's next message. Hashing what is there comes before some.
const ANSWER: Duration = Duration::from_secs(600);
/// For last words to reach the other side.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// One side of a transfer, whatever links it takes.
trait Side {
    /// Goes on over a new link.
    async fn over(&mut self, link: &Link) -> Result<(), Stop>;
    /// How far it is.
    fn position(&self) -> u64;
    /// Whether only the other side's knowing so is missing, and how long that is waited for.
    fn is_complete(&self) -> Option<Duration>;
}

/// Why a link was not enough.
enum Stop {
    /// It ended.
    Link(Error),
    /// The other side knows it, or need not.
    Failed(Failure),
    /// The other side is to be told.
    Refuse(Reason, Failure),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Link(error)
    }
}

/// Takes as many links as it needs.
async fn through<S: Side>(meeting: &mut Meeting, side: &mut S, stop: &CancellationToken) -> Result<(), Failure> {
    loop {
        let link = match (meeting.next().await, side.is_complete()) {
            (Ok(link), _) => link,
            // The file is there; only the other side may not know.
            (Err(_), Some(_)) => return Ok(()),
            (Err(failure), None) => return Err(failure),
        };
        let before = side.position();
        let result = tokio::select! {
            result = side.over(&link) => result,
            () = stop.cancelled() => {
                link.abort(error::GOING_AWAY, "");
                let _ = timeout(LAST_WORDS, link.ended()).await;
                return if side.is_complete().is_some() { Ok(()) } else { Err(stopped()) };
            }
        };
        match result {
            Ok(()) => {
                link.close();
                let _ = timeout(LAST_WORDS, link.ended()).await;
                return Ok(());
            }
            Err(Stop::Link(error)) => {
                let failure = broken(&error);
                match side.is_complete() {
                    Some(within) => meeting.hurry(within),
                    None if !can_go_on(&error) => return Err(failure),
                    None => meeting.broke(side.position() > before, &failure),
                }
            }
            Err(Stop::Failed(failure)) => {
                link.close();
                let _ = timeout(LAST_WORDS, link.ended()).await;
                return Err(failure);
            }
            Err(Stop::Refuse(reason, failure)) => {
                let text = failure.message().unwrap_or_default().to_owned();
                let _ = timeout(LAST_WORDS, say(&link, &Message::Refuse { reason, text })).await;
                link.close();
                let _ = timeout(LAST_WORDS, link.ended()).await;
                return Err(failure);
            }
        }
    }
}

async fn say(link: &Link, message: &Message) -> Result<(), Stop> {
    let (code, payload) = message.encode();
    Ok(link.send_frame(code, payload).await?)
}

/// The next message of the other side, which is to answer now.
async fn hear(link: &Link) -> Result<Message, Stop> {
    timeout(ANSWER, hear_some_time(link)).await.unwrap_or_else(|_| Err(Stop::Failed(silent())))
}

/// The next message of the other side.
async fn hear_some_time(link: &Link) -> Result<Message, Stop> {
    let Some(frame) = link.recv().await? else {
        return Err(Stop::Failed(
            failed(LinkExit::Violation, ErrorKind::PeerFault, "the other side closed in the middle of the transfer")
                .or_hint("is it `waypost link send` on one side and `receive` on the other?"),
        ));
    };
    match Message::decode(&frame) {
        Ok(Message::Refuse { reason, text }) => Err(Stop::Failed(refused(reason, &text))),
        Ok(message) => Ok(message),
        Err(Malformed::Version(theirs)) => Err(Stop::Refuse(
            Reason::Version,
            failed(
                LinkExit::Aborted,
                ErrorKind::Refused,
                &format!(
                    "the sender speaks version {theirs} of file transfer, the receiver version {}",
                    message::VERSION
                ),
            )
            .or_hint("update the older one of the two"),
        )),
        Err(Malformed::Form) => Err(unexpected()),
    }
}

/// Something came that is not the next message.
fn unexpected() -> Stop {
    let failure = failed(LinkExit::Violation, ErrorKind::PeerFault, "the other side sent something unexpected");
    let hint = "run `waypost link send` on one side and `waypost link receive` on the other";
    Stop::Refuse(Reason::Unexpected, failure.or_hint(hint))
}

/// What the other side said no with.
fn refused(reason: Reason, text: &str) -> Failure {
    let hint = match reason {
        Reason::Version => "update the older one of the two",
        Reason::Exists => "move the file there away, or give --force there",
        Reason::Space => "make room there and run both commands again; what is there already stays",
        Reason::Disk => "look at the disk and the folder there",
        Reason::Digest | Reason::Changed => "run both commands again",
        Reason::Busy => "wait for the other transfer, or end it",
        Reason::Unexpected => "run `waypost link send` on one side and `waypost link receive` on the other",
        Reason::Other(_) => "look at what the other side says",
    };
    let text = clean_line(text);
    let message = format!("the other side refused: {text}");
    failed(LinkExit::Aborted, ErrorKind::Refused, &message).or_hint(hint)
}

fn silent() -> Failure {
    failed(LinkExit::Timeout, ErrorKind::Unreachable, "the other side says nothing")
        .or_hint("run `waypost link send` on one side and `waypost link receive` on the other")
}

fn stopped() -> Failure {
    failed(LinkExit::Aborted, ErrorKind::Environment, "stopped before the file was complete")
        .or_hint("the same command goes on where it was")
}

fn failed(exit: LinkExit, kind: ErrorKind, message: &str) -> Failure {
    Failure::new(kind, message).exiting(Exit::Link(exit))
}

fn broken(error: &Error) -> Failure {
    let by_end = if let Error::Link(end) = error { ending::failure(end) } else { None };
    by_end.unwrap_or_else(|| failed(LinkExit::Truncated, ErrorKind::Unreachable, "the link ended"))
}

/// Whether another link may do better.
fn can_go_on(error: &Error) -> bool {
    match error {
        Error::Link(end) => matches!(end.status, Status::Truncated | Status::Timeout | Status::Closed),
        _ => true,
    }
}

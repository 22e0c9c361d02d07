//! One link from open to end, as it is told: alone on standard input and output, or one of a tunnel's.

use super::bridge::{Crossed, bridge};
use super::ending;
use super::event::{Event, Teller};
use super::local::{Local, Stdio};
use crate::failure::Failure;
use tokio_util::sync::CancellationToken;
use waypost_core::ErrorKind;
use waypost_framelink::link::Status;
use waypost_net::framelink::{Link, Opened};

/// An open link, by its number.
pub(super) struct Crossing {
    pub(super) number: u64,
    pub(super) link: Link,
    pub(super) tell: Teller,
}

impl Crossing {
    /// Tells that a link is open.
    pub(super) fn open(tell: Teller, number: u64, link: Link, opened: Opened, peer: String) -> Self {
        tell.tell(&Event::Open { link: number, peer, mode: opened.mode.name(), key: opened.psk });
        Self { number, link, tell }
    }

    /// The command's only link: its end is the command's.
    pub(super) async fn alone<L: Local>(self, local: L, stop: &CancellationToken) -> Result<(), Failure> {
        let crossed = bridge(&self.link, local, stop).await;
        let failure = ending::failure(&crossed.end);
        if failure.is_none() || !self.tell.talks() {
            self.told(&crossed, failure.as_ref());
        }
        failure.map_or(Ok(()), Err)
    }

    /// The command's only link, on standard input and output.
    pub(super) async fn on_stdio(self, stop: &CancellationToken) -> Result<(), Failure> {
        let stdio = Stdio::open().map_err(|error| {
            super::unusable(ErrorKind::Environment, format!("cannot use standard input and output: {error}"))
        })?;
        self.alone(stdio, stop).await
    }

    /// One of many.
    pub(super) async fn among_others<L: Local>(self, local: L, stop: &CancellationToken) {
        let crossed = bridge(&self.link, local, stop).await;
        self.told(&crossed, ending::failure(&crossed.end).as_ref());
    }

    fn told(&self, crossed: &Crossed, failure: Option<&Failure>) {
        let message = failure.and_then(Failure::message);
        let (status, sent, received) = (crossed.end.status, crossed.sent, crossed.received);
        self.tell.tell(&Event::Ended { link: self.number, status: status.name(), sent, received, message });
        if status == Status::Ended {
            let message = "the stream ended between two frames; in mode raw nothing proves that it was all";
            self.tell.tell(&Event::Warning { message });
        }
    }
}

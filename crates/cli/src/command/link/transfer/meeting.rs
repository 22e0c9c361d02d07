//! Meeting the other side, and meeting it again when the connection broke.

use super::super::connect::Way;
use super::super::event::{Event, Teller};
use super::super::listen;
use super::super::plan::{Plan, Secret, Side, usage};
use crate::args::{Ends, LinkOptions};
use crate::failure::{Exit, Failure, LinkExit};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use waypost_core::ErrorKind;
use waypost_framelink::Settings;
use waypost_net::framelink::{Accepted, Link, Listener};

/// Before the first try to connect again, and the most it grows to.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Unread bytes of a link: more makes no file faster, and costs memory.
const CREDIT: u32 = 1 << 20;
/// A dead connection is to be noticed sooner than in a pipe, as another can take its place.
const KEEPALIVE: u64 = 15;

/// Where and how the two sides meet.
pub(super) struct Meeting {
    place: Place,
    tell: Teller,
    stop: CancellationToken,
    /// How long to go on without getting further.
    patience: Duration,
    /// Links so far.
    met: u64,
    /// When patience ends.
    until: Instant,
}

enum Place {
    There(Box<Way>),
    Here(Listener),
}

impl Meeting {
    /// As the arguments say.
    pub(super) fn new(
        tell: Teller,
        ends: &Ends,
        options: &LinkOptions,
        patience: u64,
        stop: &CancellationToken,
    ) -> Result<Self, Failure> {
        let side = if ends.connect.is_some() { Side::Connects } else { Side::Listens };
        let Plan { settings, secret } = Plan::new(options, None, side)?;
        let settings = fitting(settings, options);
        let Secret::Keyed(keys) = secret else { return Err(listen::stopped()) };
        let place = match (&ends.connect, ends.listen) {
            (Some(to), _) => Place::There(Box::new(Way { to: to.clone(), keys, settings })),
            (None, Some(address)) => Place::Here(listen::open(tell, address, keys, settings, stop)?),
            (None, None) => return Err(usage("neither --connect nor --listen is given", "give one of them")),
        };
        let patience = Duration::from_secs(patience);
        Ok(Self { place, tell, stop: stop.clone(), patience, met: 0, until: Instant::now() })
    }

    /// The next link. The first may take as long as it likes to come, but where we connect, somebody must be
    /// there; a later one is waited for as long as patience lasts.
    pub(super) async fn next(&mut self) -> Result<Link, Failure> {
        let link = match &mut self.place {
            Place::Here(listener) if self.met == 0 => listen::first(self.tell, listener).await?.link,
            Place::Here(listener) => match timeout_at(self.until, listen::next(self.tell, listener)).await {
                Ok(Some(Accepted { link, .. })) => link,
                Ok(None) => return Err(listen::stopped()),
                Err(_) => return Err(left()),
            },
            Place::There(way) if self.met == 0 => way.link(&self.stop).await?.0,
            Place::There(way) => again(way, self.until, &self.stop).await?,
        };
        self.met += 1;
        Ok(link)
    }

    /// The link broke; whether we got further by it.
    pub(super) fn broke(&mut self, moved: bool, why: &Failure) {
        let now = Instant::now();
        if moved || self.until <= now && self.met == 1 {
            self.until = now + self.patience;
        }
        let message = why.message().unwrap_or("the link ended");
        self.tell.tell(&Event::Broken { message });
    }

    /// Goes on for no longer than this.
    pub(super) fn hurry(&mut self, within: Duration) {
        self.until = Instant::now() + within.min(self.patience);
    }
}

/// Settings that fit files, where the user said nothing else.
fn fitting(mut settings: Settings, options: &LinkOptions) -> Settings {
    if options.credit.is_none() {
        settings.limits.credit = CREDIT;
    }
    if options.keepalive.is_none() {
        settings.timing.keepalive = Some(Duration::from_secs(KEEPALIVE));
        settings.timing.dead = Duration::from_secs(KEEPALIVE) * 5 / 2;
    }
    settings
}

/// Connects until it works, or patience ends, or it is of no use.
async fn again(way: &Way, until: Instant, stop: &CancellationToken) -> Result<Link, Failure> {
    let (mut pause, most) = BACKOFF;
    loop {
        let failure = match way.link(stop).await {
            Ok((link, _)) => return Ok(link),
            Err(failure) => failure,
        };
        let may_pass = failure.kind().is_some_and(ErrorKind::is_temporary);
        if !may_pass || stop.is_cancelled() {
            return Err(failure);
        }
        if Instant::now() + pause > until {
            return Err(left());
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => {}
        }
        pause = (pause * 2).min(most);
    }
}

/// Nobody came back.
fn left() -> Failure {
    Failure::new(ErrorKind::Unreachable, "the connection broke, and the other side did not come back in time")
        .or_hint("run the same command on both sides again; it goes on where it was")
        .exiting(Exit::Link(LinkExit::Truncated))
}

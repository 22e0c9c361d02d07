//! `waypost link listen`.

use super::crossing::Crossing;
use super::event::{Event, Teller};
use super::plan::{Keys, Plan, Secret, Side};
use super::{ending, raw};
use crate::args::LinkListen;
use crate::command::link::connect::dial;
use crate::failure::{Exit, Failure, LinkExit};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use waypost_core::{ErrorKind, SrempAddress};
use waypost_framelink::Settings;
use waypost_framelink::code::error;
use waypost_net::framelink::{Accepted, Arrival, ListenLimits, Listener, ListenerOptions};

/// For all links to say GOING_AWAY, and for what is verified to reach the other end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Accepts links as the arguments say.
pub(super) async fn run(tell: Teller, args: LinkListen, stop: &CancellationToken) -> Result<(), Failure> {
    let Plan { settings, secret } = Plan::new(&args.options, Some(&args.raw), Side::Listens)?;
    let keys = match secret {
        Secret::Raw(block) => return raw::listen(tell, args.address, args.target, block, settings, stop).await,
        Secret::Keyed(keys) => keys,
    };
    let mut listener = open(tell, args.address, keys, settings, stop)?;
    match args.target {
        Some(target) => {
            forward(tell, &mut listener, &target, stop).await;
            Ok(())
        }
        None => {
            let accepted = first(tell, &mut listener).await?;
            // Nobody else is let in.
            drop(listener);
            crossing(tell, 1, accepted).on_stdio(stop).await
        }
    }
}

/// Listens, and tells where.
pub(super) fn open(
    tell: Teller,
    address: SocketAddr,
    keys: Keys,
    settings: Settings,
    stop: &CancellationToken,
) -> Result<Listener, Failure> {
    let options = ListenerOptions { psks: keys.psks, modes: keys.modes, settings, limits: ListenLimits::default() };
    let listener = Listener::bind(address, options, stop).map_err(|error| ending::network(&error))?;
    tell.tell(&Event::Listening { address: listener.local_addr() });
    Ok(listener)
}

/// The next link; who fails is told.
pub(super) async fn next(tell: Teller, listener: &mut Listener) -> Option<Accepted> {
    loop {
        match listener.next().await? {
            Arrival::Accepted(accepted) => return Some(accepted),
            Arrival::Failed { from, end } => {
                let failure = ending::failure(&end);
                let message = failure.as_ref().and_then(Failure::message).unwrap_or("no link");
                tell.tell(&Event::Failed { peer: from.to_string(), message });
            }
        }
    }
}

/// The first link, or the end.
pub(super) async fn first(tell: Teller, listener: &mut Listener) -> Result<Accepted, Failure> {
    next(tell, listener).await.ok_or_else(stopped)
}

/// A signal came before there was a link.
pub(super) fn stopped() -> Failure {
    Failure::new(ErrorKind::Environment, "stopped before there was a link").exiting(Exit::Link(LinkExit::Aborted))
}

fn crossing(tell: Teller, number: u64, accepted: Accepted) -> Crossing {
    Crossing::open(tell, number, accepted.link, accepted.opened, accepted.from.to_string())
}

/// Gives each link a connection to the target.
async fn forward(tell: Teller, listener: &mut Listener, target: &SrempAddress, stop: &CancellationToken) {
    let mut links = JoinSet::new();
    let mut number = 0;
    while let Some(accepted) = next(tell, listener).await {
        number += 1;
        let (crossing, target, stop) = (crossing(tell, number, accepted), target.clone(), stop.clone());
        links.spawn(async move {
            match dial(&target, &stop).await {
                Ok(stream) => crossing.among_others(stream, &stop).await,
                Err(reason) => {
                    crossing.link.abort(error::UPSTREAM, "");
                    let peer = format!("target {target}");
                    tell.tell(&Event::Failed { peer, message: reason.message().unwrap_or("stopped") });
                    crossing.link.ended().await;
                }
            }
        });
        while links.try_join_next().is_some() {}
    }
    finish(tell, links).await;
}

/// A signal came: waits a little for all links to say so.
pub(super) async fn finish(tell: Teller, mut links: JoinSet<()>) {
    tell.talk("stopping");
    let _ = timeout(LAST_WORDS, async { while links.join_next().await.is_some() {} }).await;
}

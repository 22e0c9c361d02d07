//! `waypost link connect`.

use super::crossing::Crossing;
use super::event::{Event, Teller};
use super::listen::{finish, stopped};
use super::local::{Local, guard};
use super::plan::{Keys, Plan, Secret, Side};
use super::{ending, raw};
use crate::args::LinkConnect;
use crate::failure::Failure;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use waypost_core::SrempAddress;
use waypost_framelink::Settings;
use waypost_net::framelink::{Link, Opened};
use waypost_net::{Dialling, Error, tcp};
use waypost_sremp::endpoint::Learned;

/// For a name to be looked up and a connection to be made.
const DIAL: Duration = Duration::from_secs(10);
/// Local connections at once, as many as a listener has links; the system keeps the next ones waiting.
const CONNECTIONS: usize = 1024;
/// Pause after the system could not give us a connection: it is out of file handles or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// How to reach the other side.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) to: SrempAddress,
    pub(super) keys: Keys,
    pub(super) settings: Settings,
}

/// Connects as the arguments say.
pub(super) async fn run(tell: Teller, args: LinkConnect, stop: &CancellationToken) -> Result<(), Failure> {
    let Plan { settings, secret } = Plan::new(&args.options, Some(&args.raw), Side::Connects)?;
    let way = match secret {
        Secret::Raw(block) => return raw::connect(tell, &args.to, args.local, block, settings, stop).await,
        Secret::Keyed(keys) => Way { to: args.to, keys, settings },
    };
    match args.local {
        Some(address) => serve(tell, address, way, stop).await,
        None => {
            let (link, opened) = way.link(stop).await?;
            Crossing::open(tell, 1, link, opened, way.to.to_string()).on_stdio(stop).await
        }
    }
}

impl Way {
    /// A new link, established.
    pub(super) async fn link(&self, stop: &CancellationToken) -> Result<(Link, Opened), Failure> {
        let stream = dial(&self.to, stop).await?;
        let (psk, mode) = self.keys.one().ok_or_else(stopped)?;
        let failed = |error: Error| ending::network(&error);
        let link = Link::connect(stream, psk, mode, self.settings.clone()).map_err(failed)?;
        let opened = tokio::select! {
            opened = link.opened() => opened.map_err(failed)?,
            () = stop.cancelled() => return Err(stopped()),
        };
        Ok((link, opened))
    }
}

/// A connection to somewhere the user named.
pub(super) async fn dial(to: &SrempAddress, stop: &CancellationToken) -> Result<TcpStream, Failure> {
    let dialling = Dialling::default();
    tokio::select! {
        stream = dialling.connect(to, Learned::FromUser, "link", DIAL) => {
            stream.map_err(|error| ending::network(&error))
        }
        () = stop.cancelled() => Err(stopped()),
    }
}

/// Listens for programs on this machine, and tells where.
pub(super) fn listen(tell: Teller, address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = tcp::listen(address).map_err(|error| ending::network(&error))?;
    tell.tell(&Event::Listening { address: listener.local_addr().unwrap_or(address) });
    Ok(listener)
}

/// The next local connection; none after a signal.
pub(super) async fn accept(listener: &TcpListener, stop: &CancellationToken) -> Option<(TcpStream, SocketAddr)> {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => return Some(accepted),
                Err(error) => {
                    tracing::debug!(%error, "no local connection");
                    sleep(PAUSE).await;
                }
            },
            () = stop.cancelled() => return None,
        }
    }
}

/// Gives each local connection a link.
async fn serve(tell: Teller, address: SocketAddr, way: Way, stop: &CancellationToken) -> Result<(), Failure> {
    let listener = listen(tell, address)?;
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut links = JoinSet::new();
    let mut number = 0;
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        let Some((stream, _)) = accept(&listener, stop).await else { break };
        guard(&stream);
        number += 1;
        let (way, stop) = (way.clone(), stop.clone());
        links.spawn(async move {
            match way.link(&stop).await {
                Ok((link, opened)) => {
                    let crossing = Crossing::open(tell, number, link, opened, way.to.to_string());
                    crossing.among_others(stream, &stop).await;
                }
                Err(failure) => {
                    let (peer, message) = (way.to.to_string(), failure.message().unwrap_or("no link"));
                    tell.tell(&Event::Failed { peer, message });
                    let (reader, writer) = stream.apart();
                    TcpStream::reset(reader, writer).await;
                }
            }
            drop(permit);
        });
        while links.try_join_next().is_some() {}
    }
    drop(listener);
    finish(tell, links).await;
    Ok(())
}

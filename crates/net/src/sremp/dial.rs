//! Connecting, which the engine may call off.

use super::Shared;
use super::link::LinkCommand;
use super::task::Reins;
use crate::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use waypost_core::SrempAddress;
use waypost_sremp::connection::Dialled;
use waypost_sremp::endpoint::Learned;
use waypost_sremp::message::ErrorMessage;
use waypost_sremp::{CloseReason, ErrorCode};

/// Where to, and whom.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: SrempAddress,
    pub(super) learned: Learned,
    pub(super) dialled: Dialled,
}

/// One of the dialled connections that may exist at once; free again when dropped.
pub(super) struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    /// None if all are taken.
    pub(super) fn take(shared: &'a Shared) -> Option<Self> {
        let most = shared.limits.connections.dialled;
        let more = |dialled: usize| (dialled < most).then_some(dialled + 1);
        let taken = shared.dialled.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then_some(Self(&shared.dialled))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connects, unless the engine closes the link before.
pub(super) async fn connect(shared: &Shared, to: &Target, reins: &mut Reins) -> Result<TcpStream, CloseReason> {
    let Target { address, learned, dialled } = to;
    let purpose = format!("{address} {:?}", dialled.identity);
    let called_off = async {
        while let Some(command) = reins.queue.recv().await {
            if let LinkCommand::Close(error) = command {
                return error.as_deref().and_then(ErrorMessage::known_code);
            }
        }
        None
    };
    tokio::select! {
        stream = shared.dialling.connect(address, *learned, &purpose, shared.timing.connect) => stream.map_err(|error| {
            tracing::debug!(%error, "not reached");
            match error {
                Error::NotPermitted { .. } => CloseReason::Local(ErrorCode::Forbidden),
                Error::Proxy { .. } => CloseReason::Proxy,
                _ => CloseReason::Unreachable,
            }
        }),
        said = called_off => Err(said.map_or(CloseReason::Stopped, CloseReason::Local)),
        () = reins.cut.cancelled() => Err(CloseReason::Local(ErrorCode::Limit)),
        () = shared.stop.cancelled() => Err(CloseReason::Stopped),
    }
}

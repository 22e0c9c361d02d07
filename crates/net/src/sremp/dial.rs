//! Connecting, which the engine may call off.

use super::Shared;
use super::link::LinkCommand;
use super::task::Reins;
use crate::tcp;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use waypost_core::SrempAddress;
use waypost_sremp::message::ErrorMessage;
use waypost_sremp::{CloseReason, ErrorCode};

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
pub(super) async fn connect(shared: &Shared, to: &SrempAddress, reins: &mut Reins) -> Result<TcpStream, CloseReason> {
    let called_off = async {
        while let Some(command) = reins.queue.recv().await {
            if let LinkCommand::Close(error) = command {
                return error.as_deref().and_then(ErrorMessage::known_code);
            }
        }
        None
    };
    tokio::select! {
        dialled = tcp::dial(to, shared.timing.connect) => dialled.map_err(|error| {
            tracing::debug!(%error, "not reached");
            CloseReason::Unreachable
        }),
        said = called_off => Err(said.map_or(CloseReason::Stopped, CloseReason::Local)),
        () = reins.cut.cancelled() => Err(CloseReason::Local(ErrorCode::Limit)),
        () = shared.stop.cancelled() => Err(CloseReason::Stopped),
    }
}

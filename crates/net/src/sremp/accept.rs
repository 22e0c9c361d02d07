//! Takes connections, as far as the gate lets them in.

use super::{Shared, task};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Pause after the system could not give us a connection: it is out of file handles or memory, and
/// would say so again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the driver stops.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => match shared.gate.admit(remote.ip()) {
                Some(permit) => task::accepted(&shared, stream, remote, permit),
                // Closed without a byte. Profile, Connection.
                None => shared.traffic.count_dropped("crowded"),
            },
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::select! {
                    () = shared.stop.cancelled() => return,
                    () = sleep(PAUSE) => {}
                }
            }
        }
    }
}

/// The connection was gone before we took it.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted)
}

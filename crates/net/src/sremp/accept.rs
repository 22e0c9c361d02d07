//! Takes connections, as far as the gate lets them in.

use super::{Shared, task};
use crate::tcp;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Accepts until the driver stops.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let take = |stream, remote: std::net::SocketAddr| match shared.gate.admit(remote.ip()) {
        Some(permit) => task::accepted(&shared, stream, remote, permit),
        // Closed without a byte. Profile, Connection.
        None => shared.traffic.count_dropped("crowded"),
    };
    tcp::accept(listener, &shared.stop, take).await;
}

//! Whether somebody speaks SREMP at an address, and no more than that.

use crate::dial::Dialling;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use waypost_core::SrempAddress;
use waypost_sremp::endpoint::Learned;
use waypost_sremp::version::{HEADER_LEN, OWN_HEADER, VersionHeader};

/// Dials once, shows the own header and waits for the other. Somebody else named the address, so the filter
/// may forbid it. Profile, Rendezvous: a server may do so before it tells others of an endpoint.
pub async fn greets(dialling: &Dialling, to: &SrempAddress, within: Duration) -> bool {
    let header = async {
        let mut stream = dialling.connect(to, Learned::FromOthers, "greet", within).await.ok()?;
        stream.write_all(&OWN_HEADER.to_bytes()).await.ok()?;
        let mut header = [0; HEADER_LEN];
        stream.read_exact(&mut header).await.ok()?;
        VersionHeader::decode(&header).ok()
    };
    matches!(timeout(within, header).await, Ok(Some(_)))
}

//! Bytes between a link and its local end, in both directions, and every way this can stop. Profile, Tool.

use super::local::Local;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use waypost_framelink::code::error;
use waypost_framelink::link::{End, Status};
use waypost_net::framelink::Link;

/// One read of local input, which is one DATA frame. Profile, Tool.
const READ: usize = 65536;

/// What became of a link and its local end.
#[derive(Debug)]
pub(super) struct Crossed {
    pub(super) end: End,
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// Bytes that went, in each direction.
#[derive(Debug, Default)]
struct Count {
    sent: AtomicU64,
    received: AtomicU64,
}

/// Why a direction stopped before its end.
enum Stopped {
    /// The local end is of no use any more.
    Local(io::Error),
    /// A frame that is no part of a stream.
    Foreign(u32),
    /// The link is over; it says why itself.
    Link,
}

/// Carries bytes until both directions are over, or until `stop`. The local end sees a clean end only if the link
/// had one.
pub(super) async fn bridge<L: Local>(link: &Link, local: L, stop: &CancellationToken) -> Crossed {
    let (mut reader, mut writer) = local.apart();
    let count = Count::default();
    carry(link, &mut reader, &mut writer, &count, stop).await;
    let end = tokio::select! {
        end = link.ended() => end,
        () = stop.cancelled() => {
            link.abort(error::GOING_AWAY, "");
            link.ended().await
        }
    };
    match (end.status, end.fault) {
        (Status::Closed | Status::Ended, None) => L::finish(reader, writer),
        _ => L::reset(reader, writer).await,
    }
    Crossed { end, sent: count.sent.into_inner(), received: count.received.into_inner() }
}

async fn carry<R, W>(link: &Link, reader: &mut R, writer: &mut W, count: &Count, stop: &CancellationToken)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut outward = pin!(outward(link, reader, &count.sent));
    let mut inward = pin!(inward(link, writer, &count.received));
    let (mut sent_all, mut read_all) = (false, false);
    while !(sent_all && read_all) {
        let stopped = tokio::select! {
            result = &mut outward, if !sent_all => {
                sent_all = true;
                result
            }
            result = &mut inward, if !read_all => {
                read_all = true;
                result
            }
            // The other side has said everything, and hears nothing any more.
            _ = link.ended(), if read_all => Err(Stopped::Link),
            () = stop.cancelled() => {
                link.abort(error::GOING_AWAY, "");
                return;
            }
        };
        match stopped {
            Ok(()) => {}
            // What can still be read is read; the other direction finds the end of it.
            Err(Stopped::Link) if !read_all => {}
            Err(Stopped::Link) => return,
            Err(Stopped::Local(error)) => {
                tracing::debug!(%error, "the local end broke off");
                link.abort(error::LOCAL_ABORT, "");
                return;
            }
            Err(Stopped::Foreign(code)) => {
                tracing::debug!(code, "a frame that is no part of a stream");
                link.abort(error::UNSUPPORTED_CODE, "");
                return;
            }
        }
    }
}

/// Local input to the link; its end closes the own direction.
async fn outward(link: &Link, reader: &mut (impl AsyncRead + Unpin), sent: &AtomicU64) -> Result<(), Stopped> {
    let mut buf = vec![0; READ];
    loop {
        let read = reader.read(&mut buf).await.map_err(Stopped::Local)?;
        if read == 0 {
            link.close();
            return Ok(());
        }
        let bytes = buf.get(..read).unwrap_or_default();
        link.send(bytes).await.map_err(|_| Stopped::Link)?;
        sent.fetch_add(read as u64, Ordering::Relaxed);
    }
}

/// Verified bytes to local output; the other side's CLOSE ends it.
async fn inward(link: &Link, writer: &mut (impl AsyncWrite + Unpin), received: &AtomicU64) -> Result<(), Stopped> {
    let mut buf = vec![0; READ];
    loop {
        let read = link.read(&mut buf).await.map_err(|_| Stopped::Link)?;
        if read == 0 {
            return match link.next_code() {
                Some(code) => Err(Stopped::Foreign(code)),
                None => writer.shutdown().await.or_else(already_gone).map_err(Stopped::Local),
            };
        }
        let bytes = buf.get(..read).unwrap_or_default();
        writer.write_all(bytes).await.map_err(Stopped::Local)?;
        writer.flush().await.map_err(Stopped::Local)?;
        received.fetch_add(read as u64, Ordering::Relaxed);
    }
}

/// Whoever closed before the end was told needs not be told.
fn already_gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotConnected { Ok(()) } else { Err(error) }
}

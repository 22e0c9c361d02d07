//! A TLS stream and the bytes that wait for it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

/// Bytes of one read: those of a TLS record.
const READ: usize = 16 << 10;
/// How long the other side may take to see the end and end its own side.
const LINGER: Duration = Duration::from_secs(2);

thread_local! {
    /// One for all connections of a thread.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// What happened to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// So many bytes came.
    Read(usize),
    /// The other side sends no more.
    Eof,
    /// Some of what waited is on its way.
    Wrote,
}

/// A stream and the bytes that wait for it.
pub(super) struct Pipe<S> {
    stream: S,
    unsent: Vec<u8>,
    /// How much of `unsent` is gone.
    start: usize,
    /// The stream took bytes that it may still hold.
    unflushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pipe<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, unsent: Vec::new(), start: 0, unflushed: false }
    }

    /// Puts bytes at the end of those that wait.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// Bytes that wait.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.len() - self.start
    }

    /// Whether anything is not on its way yet.
    pub(super) fn has_unsent(&self) -> bool {
        self.unsent() > 0 || self.unflushed
    }

    /// Waits until something could be written, or read if `may_read`; what was read is put behind `input`.
    /// May be dropped at any time without a loss.
    pub(super) async fn turn(&mut self, may_read: bool, input: &mut Vec<u8>) -> io::Result<Moved> {
        poll_fn(|cx| {
            if let Poll::Ready(result) = self.poll_write(cx) {
                return Poll::Ready(result.map(|()| Moved::Wrote));
            }
            if may_read { self.poll_read(cx, input) } else { Poll::Pending }
        })
        .await
    }

    /// Writes what waits, says that no more comes, and waits for the other side's end: data that arrives at a
    /// closed socket would make the system throw away what is still on its way.
    pub(super) async fn end(mut self, within: Duration) {
        let mut ignored = Vec::new();
        let written = async {
            while self.has_unsent() {
                if self.turn(false, &mut ignored).await.is_err() {
                    return false;
                }
            }
            self.stream.shutdown().await.is_ok()
        };
        if timeout(within, written).await.unwrap_or(false) {
            let mut scrap = [0; 512];
            let eof = async { while self.stream.read(&mut scrap).await.is_ok_and(|count| count > 0) {} };
            // Whether it comes in time or not, this is the end.
            let _ = timeout(LINGER, eof).await;
        }
    }

    /// Ready when something was written.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let rest = self.unsent.get(self.start..).unwrap_or_default();
        if !rest.is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.start += count;
            if self.unsent() == 0 {
                // Most connections wait for something most of the time: they hold nothing meanwhile.
                (self.unsent, self.start) = (Vec::new(), 0);
            } else if self.start >= READ {
                self.unsent.drain(..self.start);
                self.start = 0;
            }
            return Poll::Ready(Ok(()));
        }
        if !self.unflushed {
            return Poll::Pending;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut Vec<u8>) -> Poll<io::Result<Moved>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            input.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(match buffer.filled().len() {
                0 => Moved::Eof,
                count => Moved::Read(count),
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn writes_while_it_reads_and_loses_nothing_when_a_turn_is_dropped() {
        let (near, far) = tokio::io::duplex(1000);
        let (mut near, mut far) = (Pipe::new(near), Pipe::new(far));
        let text: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        near.push(&text);
        far.push(&text);
        let (mut at_near, mut at_far) = (Vec::new(), Vec::new());
        while at_near.len() < text.len() || at_far.len() < text.len() {
            tokio::select! {
                moved = near.turn(true, &mut at_near) => drop(moved.unwrap()),
                moved = far.turn(true, &mut at_far) => drop(moved.unwrap()),
            }
        }
        assert!(at_near == text && at_far == text);
        while near.has_unsent() {
            near.turn(false, &mut Vec::new()).await.unwrap();
        }
        assert_eq!((near.unsent(), near.unsent.capacity()), (0, 0));
        drop(far);
        assert_eq!(near.turn(true, &mut at_near).await.unwrap(), Moved::Eof);
    }

    #[tokio::test]
    async fn does_not_read_what_it_may_not() {
        let (near, mut far) = tokio::io::duplex(1000);
        far.write_all(b"hello").await.unwrap();
        let (mut near, mut input) = (Pipe::new(near), Vec::new());
        assert!(timeout(Duration::ZERO, near.turn(false, &mut input)).await.is_err());
        assert_eq!(near.turn(true, &mut input).await.unwrap(), Moved::Read(5));
    }
}

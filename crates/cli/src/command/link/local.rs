//! The open end of a link on this machine: a TCP connection, or standard input and output.

use rustix::event::{PollFd, PollFlags, poll};
use socket2::SockRef;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep};

/// For somebody who reads slowly to take what is verified, before a reset throws away what is left.
const LAST_BYTES: Duration = Duration::from_secs(10);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// Where the bytes of a link come from and go to.
pub(super) trait Local: Send {
    type Reader: AsyncRead + Unpin + Send;
    type Writer: AsyncWrite + Unpin + Send;

    /// Both directions. From here on it is reset when this process dies.
    fn apart(self) -> (Self::Reader, Self::Writer);

    /// Ends it well.
    fn finish(reader: Self::Reader, writer: Self::Writer) {
        drop((reader, writer));
    }

    /// Ends it so that nobody takes it for a clean end, where it can: after everything that was written.
    fn reset(reader: Self::Reader, writer: Self::Writer) -> impl Future<Output = ()> + Send;
}

impl Local for TcpStream {
    type Reader = OwnedReadHalf;
    type Writer = OwnedWriteHalf;

    fn apart(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let _ = self.set_nodelay(true);
        guard(&self);
        self.into_split()
    }

    fn finish(reader: OwnedReadHalf, writer: OwnedWriteHalf) {
        let _ = SockRef::from(reader.as_ref()).set_linger(None);
        drop((reader, writer));
    }

    async fn reset(reader: OwnedReadHalf, writer: OwnedWriteHalf) {
        let stream = reader.as_ref();
        let until = Instant::now() + LAST_BYTES;
        while has_unsent(stream) && Instant::now() < until {
            sleep(LOOK).await;
        }
        // Dropped, it would say a clean end first.
        writer.forget();
    }
}

/// Lets a connection be reset whenever it is closed, be it by the death of this process: lingering for no time is how
/// that is said.
pub(super) fn guard(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Whether a reset now would throw away what was written: with a low-water mark of one byte a socket takes more
/// only when everything has been sent.
fn has_unsent(stream: &TcpStream) -> bool {
    #[cfg(target_os = "linux")]
    if SockRef::from(stream).set_tcp_notsent_lowat(1).is_err() {
        return false;
    }
    let mut look = [PollFd::new(stream, PollFlags::OUT)];
    cfg!(target_os = "linux") && matches!(poll(&mut look, Some(&rustix::event::Timespec::default())), Ok(0))
}

/// Standard input and output.
pub(super) struct Stdio {
    input: tokio::fs::File,
    output: StdoutStream,
}

impl Stdio {
    /// Takes them. The runtime's own would look for line ends.
    pub(super) fn open() -> io::Result<Self> {
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self { input: input.into(), output: StdoutStream(Some(output.into())) })
    }
}

impl Local for Stdio {
    type Reader = tokio::fs::File;
    type Writer = StdoutStream;

    fn apart(self) -> (Self::Reader, Self::Writer) {
        (self.input, self.output)
    }

    async fn reset(reader: Self::Reader, writer: Self::Writer) {
        drop((reader, writer));
    }
}

/// Standard output, whose end can be told while standard input goes on.
pub(super) struct StdoutStream(Option<tokio::fs::File>);

impl AsyncWrite for StdoutStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Some(file) => Pin::new(file).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Some(file) => Pin::new(file).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.as_mut().poll_flush(cx))?;
        self.0 = None;
        // Whoever reads sees the end only when nobody holds the pipe any more.
        let nowhere = File::options().write(true).open("/dev/null")?;
        Poll::Ready(rustix::stdio::dup2_stdout(&nowhere).map_err(io::Error::from))
    }
}

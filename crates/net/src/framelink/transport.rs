//! What a link runs over. Profile FL-0.3.

use socket2::SockRef;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadHalf, WriteHalf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::unix;
use tokio::net::{TcpStream, UnixStream};

/// An ordered, reliable stream of bytes in both directions.
pub trait Transport: Send + 'static {
    /// Where bytes come from.
    type Reader: AsyncRead + Unpin + Send + 'static;
    /// Where bytes go.
    type Writer: AsyncWrite + Unpin + Send + 'static;

    /// Both directions apart.
    fn apart(self) -> (Self::Reader, Self::Writer);

    /// Ends it so that the other side does not take it for a clean end, where it can.
    fn reset(reader: Self::Reader, writer: Self::Writer) {
        drop((reader, writer));
    }
}

impl Transport for TcpStream {
    type Reader = OwnedReadHalf;
    type Writer = OwnedWriteHalf;

    fn apart(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        // Frames leave whole; waiting for more of them would only cost time.
        let _ = self.set_nodelay(true);
        self.into_split()
    }

    fn reset(reader: OwnedReadHalf, writer: OwnedWriteHalf) {
        // Lingering for no time is how a socket is reset.
        let _ = SockRef::from(reader.as_ref()).set_linger(Some(Duration::ZERO));
        // Dropped, it would say a clean end first.
        writer.forget();
    }
}

impl Transport for UnixStream {
    type Reader = unix::OwnedReadHalf;
    type Writer = unix::OwnedWriteHalf;

    fn apart(self) -> (Self::Reader, Self::Writer) {
        self.into_split()
    }
}

impl Transport for DuplexStream {
    type Reader = ReadHalf<Self>;
    type Writer = WriteHalf<Self>;

    fn apart(self) -> (Self::Reader, Self::Writer) {
        tokio::io::split(self)
    }
}

/// A reader and a writer that belong together: the pipes of a child process, or the halves of any stream.
#[derive(Debug)]
pub struct Pipes<R, W> {
    /// Where bytes come from.
    pub reader: R,
    /// Where bytes go.
    pub writer: W,
}

impl<S: AsyncRead + AsyncWrite> Pipes<ReadHalf<S>, WriteHalf<S>> {
    /// Of any stream: TLS, an SSH channel.
    pub fn of(stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader, writer }
    }
}

impl<R, W> Transport for Pipes<R, W>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Reader = R;
    type Writer = W;

    fn apart(self) -> (R, W) {
        (self.reader, self.writer)
    }
}

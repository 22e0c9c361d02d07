//! JSON-RPC over a stream of bytes: one text a line, both ways. For stdio and the unix socket.

use crate::limits::{IN_FLIGHT, REQUEST_BYTES, REQUEST_TIME, STOP_TIME};
use crate::openrpc::{EVENT, SUBSCRIBE, UNSUBSCRIBE};
use crate::{Error, Fault, rpc, service};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, mem};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use waypost_node::{Events, Node};

/// Serves one client until it has nothing more to say and has all its answers, or until `stop`.
///
/// Requests are begun in the order they came; answers come when they are ready. While a client does
/// not take its answers nothing more of it is read, and events it is too slow for are counted in one
/// `missed` event.
///
/// # Errors
/// [`Error::Stream`] if the stream breaks.
pub async fn serve_lines<R, W>(node: Node, reader: R, writer: W, stop: CancellationToken) -> Result<(), Error>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let subscribed = AtomicBool::new(false);
    let mut client = Client { lines: Lines::new(reader), writer, stop };
    client.serve(&node, &subscribed).await?;
    Ok(())
}

struct Client<R, W> {
    lines: Lines<R>,
    writer: W,
    stop: CancellationToken,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Client<R, W> {
    async fn serve(&mut self, node: &Node, subscribed: &AtomicBool) -> io::Result<()> {
        let mut working = FuturesUnordered::new();
        let mut events = None;
        let mut open = true;
        while open || !working.is_empty() {
            tokio::select! {
                () = self.stop.cancelled(), if open => open = false,
                Some(answer) = working.next() => if let Some(answer) = answer {
                    self.write(answer).await?;
                },
                line = self.lines.next(), if open && working.len() < IN_FLIGHT => match line? {
                    Line::Text(text) => working.push(answer(node, subscribed, text)),
                    Line::TooLong => {
                        let fault = Fault::too_long(format!("a request has at most {REQUEST_BYTES} bytes"));
                        self.write(rpc::refusal(fault)).await?;
                        open = false;
                    }
                    Line::End => open = false,
                },
                event = next(&mut events), if open && events.is_some() => match event {
                    Some(event) => self.write(rpc::notification(EVENT, &event)).await?,
                    None => open = false,
                },
            }
            match (subscribed.load(Ordering::Relaxed), &events) {
                (true, None) => events = Some(node.events()),
                (false, Some(_)) => events = None,
                _ => {}
            }
        }
        self.writer.shutdown().await
    }

    /// Writes a line, however long the client takes, but not past a stop.
    async fn write(&mut self, mut line: String) -> io::Result<()> {
        line.push('\n');
        let stopped = async {
            self.stop.cancelled().await;
            tokio::time::sleep(STOP_TIME).await;
        };
        tokio::select! {
            written = async {
                self.writer.write_all(line.as_bytes()).await?;
                self.writer.flush().await
            } => written,
            () = stopped => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

async fn answer(node: &Node, subscribed: &AtomicBool, text: Vec<u8>) -> Option<String> {
    rpc::answer(&text, |request| async {
        match request.method.as_str() {
            wanted @ (SUBSCRIBE | UNSUBSCRIBE) => {
                let wanted = wanted == SUBSCRIBE;
                Ok(json!({ "changed": u64::from(subscribed.swap(wanted, Ordering::Relaxed) != wanted) }))
            }
            _ => service::handle(node, request).await,
        }
    })
    .await
}

async fn next(events: &mut Option<Events>) -> Option<Value> {
    let event = events.as_mut()?.next().await?;
    serde_json::to_value(event).ok()
}

/// One line of a client.
#[derive(Debug, PartialEq)]
enum Line {
    Text(Vec<u8>),
    TooLong,
    End,
}

/// Splits a stream into lines of bounded length. [`Lines::next`] can be dropped and called again
/// without losing anything.
struct Lines<R> {
    reader: BufReader<R>,
    partial: Vec<u8>,
    /// When the line must be whole of which a part is there.
    deadline: Option<Instant>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), partial: Vec::new(), deadline: None }
    }

    /// The next line that is not blank, without its end.
    async fn next(&mut self) -> io::Result<Line> {
        loop {
            let bytes = match self.deadline {
                Some(deadline) => timeout_at(deadline, self.reader.fill_buf()).await??,
                None => self.reader.fill_buf().await?,
            };
            let (taken, whole) = match bytes.split(|&byte| byte == b'\n').next() {
                None | Some([]) if bytes.is_empty() => (0, true),
                Some(line) if line.len() < bytes.len() => (line.len() + 1, true),
                _ => (bytes.len(), false),
            };
            let ended = bytes.is_empty();
            self.partial.extend(bytes.iter().take(taken));
            self.reader.consume(taken);
            if self.partial.len() > REQUEST_BYTES + 1 {
                return Ok(Line::TooLong);
            }
            if !whole {
                self.deadline.get_or_insert_with(|| Instant::now() + REQUEST_TIME);
                continue;
            }
            self.deadline = None;
            let line = mem::take(&mut self.partial);
            match line.trim_ascii() {
                [] if ended => return Ok(Line::End),
                [] => {}
                _ => return Ok(Line::Text(line)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(bytes: &[u8]) -> Vec<Line> {
        let mut lines = Lines::new(bytes);
        let mut all = Vec::new();
        loop {
            all.push(lines.next().await.unwrap());
            if matches!(all.last(), Some(Line::End | Line::TooLong)) {
                return all;
            }
        }
    }

    fn text(text: &str) -> Line {
        Line::Text(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn splits_lines_skips_blank_ones_and_takes_a_last_one_without_an_end() {
        assert_eq!(all(b"a\n\r\n\nbc\nd").await, [text("a\n"), text("bc\n"), text("d"), Line::End]);
        assert_eq!(all(b"").await, [Line::End]);
        assert_eq!(all(b"\n").await, [Line::End]);
    }

    #[tokio::test]
    async fn stops_at_a_line_longer_than_its_bound() {
        let mut bytes = vec![b'x'; REQUEST_BYTES];
        assert_eq!(all(&bytes).await.len(), 2);
        bytes.extend(b"xx");
        assert_eq!(all(&bytes).await, [Line::TooLong]);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_on_a_line_that_never_ends() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"half").await.unwrap();
        let error = Lines::new(server).next().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}

//! The side that has the file.

use super::super::event::{Event, Teller};
use super::meeting::Meeting;
use super::message::{Digest, Message, Reason};
use super::partial::hex;
use super::prefix::Prefix;
use super::{Side, Stop, failed, hear, hear_some_time, progress, say, through, unexpected};
use crate::args::LinkSend;
use crate::command::link::unusable;
use crate::failure::{Failure, LinkExit};
use indicatif::ProgressBar;
use serde::Serialize;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;
use waypost_core::ErrorKind;
use waypost_net::framelink::Link;

/// One DATA message.
const READ: usize = 65536;

/// What was done.
#[derive(Serialize)]
struct Sent<'a> {
    file: &'a Path,
    bytes: u64,
    sha256: String,
}

/// Sends a file until the other side has it.
pub(crate) async fn run(tell: Teller, args: LinkSend, stop: &CancellationToken) -> Result<(), Failure> {
    let mut sender = Sender::open(tell, &args.file)?;
    let mut meeting = Meeting::new(tell, &args.ends, &args.options, args.patience.retry, stop)?;
    through(&mut meeting, &mut sender, stop).await?;
    sender.bar.finish_and_clear();
    let sha256 = hex(&sender.digest);
    if tell.output.is_json() {
        return tell.output.json(&Sent { file: &args.file, bytes: sender.size, sha256 });
    }
    tell.talk(&format!("sent {} bytes; the other side has checked them and put the file in its place", sender.size));
    tell.talk(&format!("sha256 {sha256}"));
    Ok(())
}

struct Sender {
    file: File,
    path: PathBuf,
    name: String,
    size: u64,
    first: Metadata,
    /// Bytes handed to links, less those that did not arrive.
    position: u64,
    digest: Digest,
    tell: Teller,
    bar: ProgressBar,
}

impl Sender {
    fn open(tell: Teller, path: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| {
            let kind =
                if error.kind() == io::ErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::Environment };
            unusable(kind, format!("cannot read {}: {error}", path.display())).or_hint("look at the file")
        };
        let file = File::open(path).map_err(cannot)?;
        let first = file.metadata().map_err(cannot)?;
        let Some(name) = path.file_name().filter(|_| first.is_file()) else {
            return Err(unusable(ErrorKind::BadInput, format!("{} is not a file", path.display()))
                .or_hint("pack a folder first: tar c DIR | waypost link connect …"));
        };
        let (size, name) = (first.len(), name.to_string_lossy().into_owned());
        let bar = progress::bar(tell, size);
        Ok(Self { file, path: path.to_owned(), name, size, first, position: 0, digest: [0; 32], tell, bar })
    }

    /// Sends what comes behind the prefix, and the hash of all.
    async fn stream(&mut self, link: &Link, mut prefix: Prefix) -> Result<(), Stop> {
        let mut buf = vec![0; READ];
        while prefix.length() < self.size {
            let most = usize::try_from(self.size - prefix.length()).unwrap_or(READ).min(READ);
            let bytes = buf.get_mut(..most).unwrap_or_default();
            let read = block_in_place(|| self.file.read_exact(bytes));
            read.map_err(|error| self.cannot_read(&error))?;
            prefix.update(bytes);
            link.send(bytes).await?;
            self.position = prefix.length();
            self.bar.set_position(self.position);
        }
        if self.has_changed() {
            return Err(self.changed());
        }
        self.digest = prefix.digest();
        say(link, &Message::End { digest: self.digest }).await
    }

    fn has_changed(&self) -> bool {
        let Ok(now) = self.file.metadata() else { return true };
        (now.len(), now.modified().ok()) != (self.first.len(), self.first.modified().ok())
    }

    fn changed(&self) -> Stop {
        let message = format!("{} changed while it was sent", self.path.display());
        let failure = unusable(ErrorKind::Conflict, message).or_hint("send it again when nobody writes to it");
        Stop::Refuse(Reason::Changed, failure)
    }

    fn cannot_read(&self, error: &io::Error) -> Stop {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.changed();
        }
        let message = format!("cannot read {}: {error}", self.path.display());
        Stop::Refuse(Reason::Disk, unusable(ErrorKind::Environment, message).or_hint("look at its disk"))
    }
}

impl Side for Sender {
    async fn over(&mut self, link: &Link) -> Result<(), Stop> {
        if self.has_changed() {
            return Err(self.changed());
        }
        say(link, &Message::Offer { size: self.size, name: self.name.clone() }).await?;
        let mut answer = hear(link).await?;
        let prefix = loop {
            let Message::Accept { offset } = answer else { return Err(unexpected()) };
            if offset > self.size {
                return Err(unexpected());
            }
            let prefix = block_in_place(|| Prefix::read(&mut self.file, offset));
            let prefix = prefix.map_err(|error| self.cannot_read(&error))?;
            say(link, &Message::Start { offset, digest: prefix.digest() }).await?;
            match hear(link).await? {
                Message::Go => break prefix,
                // What it has is the beginning of another file.
                Message::Accept { offset: 0 } if offset > 0 => answer = Message::Accept { offset: 0 },
                _ => return Err(unexpected()),
            }
        };
        self.position = prefix.length();
        let (name, size, offset) = (self.name.as_str(), self.size, self.position);
        self.bar.suspend(|| self.tell.tell(&Event::Started { name, size, offset }));
        self.bar.set_position(self.position);
        // Nothing is to be heard before the end but a refusal.
        tokio::select! {
            sent = self.stream(link, prefix) => sent?,
            heard = hear_some_time(link) => return Err(heard.map_or_else(|stop| stop, |_| unexpected())),
        }
        match hear(link).await? {
            Message::Done { digest } if digest == self.digest => Ok(()),
            Message::Done { .. } => Err(Stop::Failed(failed(
                LinkExit::Violation,
                ErrorKind::PeerFault,
                "the other side has something else than what was sent",
            ))),
            _ => Err(unexpected()),
        }
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn is_complete(&self) -> Option<Duration> {
        None
    }
}

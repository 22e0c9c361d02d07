//! The side that gets the file.

use super::super::event::{Event, Teller};
use super::meeting::Meeting;
use super::message::{Digest, Message, Reason};
use super::name::harmless;
use super::partial::{NoPartial, Partial, hex, umask};
use super::prefix::Prefix;
use super::{Side, Stop, failed, hear, progress, say, silent, through, unexpected};
use crate::args::LinkReceive;
use crate::command::link::unusable;
use crate::failure::{Failure, LinkExit};
use indicatif::ProgressBar;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::block_in_place;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use waypost_core::ErrorKind;
use waypost_net::framelink::Link;

/// Bytes taken at once.
const READ: usize = 65536;
/// For the other side to say what it has.
const OFFER: Duration = Duration::from_secs(30);
/// For a sender that may not know that we have everything to come back and hear it.
const CONFIRM: Duration = Duration::from_secs(30);

/// What was done.
#[derive(Serialize)]
struct Received<'a> {
    file: &'a Path,
    bytes: u64,
    sha256: String,
}

/// Receives one file.
pub(crate) async fn run(tell: Teller, args: LinkReceive, stop: &CancellationToken) -> Result<(), Failure> {
    let umask = umask();
    if !args.folder.is_dir() {
        let message = format!("{} is not a folder", args.folder.display());
        return Err(unusable(ErrorKind::NotFound, message).or_hint("make it, or name another"));
    }
    let mut meeting = Meeting::new(tell, &args.ends, &args.options, args.patience.retry, stop)?;
    let max_size = args.max_size.map_or(u64::MAX, |size| size.0);
    let bar = progress::bar(tell, 0);
    let mut receiver =
        Receiver { folder: args.folder, force: args.force, max_size, umask, tell, bar, position: 0, finished: None };
    through(&mut meeting, &mut receiver, stop).await?;
    receiver.bar.finish_and_clear();
    let Some(Finished { place, size, digest, known, .. }) = receiver.finished else {
        return Err(failed(LinkExit::Truncated, ErrorKind::Internal, "nothing was received"));
    };
    if !known {
        let message = "the file is complete, but the other side may not know it";
        tell.tell(&Event::Warning { message });
    }
    let received = Received { file: &place, bytes: size, sha256: hex(&digest) };
    tell.output.result(&received, |received| crate::output::clean_line(&received.file.display().to_string()))
}

struct Receiver {
    folder: PathBuf,
    force: bool,
    max_size: u64,
    umask: u32,
    tell: Teller,
    bar: ProgressBar,
    position: u64,
    finished: Option<Finished>,
}

/// A file in its place.
struct Finished {
    name: String,
    place: PathBuf,
    size: u64,
    digest: Digest,
    /// Whether the sender knows.
    known: bool,
}

impl Receiver {
    /// Takes the rest of a file and puts it in its place.
    async fn take(&mut self, link: &Link, size: u64, name: String) -> Result<(), Stop> {
        let place = self.folder.join(&name);
        self.check(&place, size)?;
        let mut partial = Partial::open(&self.folder, &name).map_err(|reason| match reason {
            NoPartial::Busy => {
                let message = format!("another `waypost link receive` is receiving {name}");
                Stop::Refuse(Reason::Busy, unusable(ErrorKind::Conflict, message).or_hint("wait for it, or end it"))
            }
            NoPartial::Disk(error) => self.disk(&error),
        })?;
        if partial.length() > size {
            partial.clear().map_err(|error| self.disk(&error))?;
        }
        self.check_space(&partial, size)?;
        say(link, &Message::Accept { offset: partial.length() }).await?;
        let mut prefix = block_in_place(|| partial.keep()).map_err(|error| self.disk(&error))?;
        let Message::Start { offset, digest } = hear(link).await? else { return Err(unexpected()) };
        if offset != partial.length() {
            return Err(unexpected());
        }
        if digest != prefix.digest() {
            partial.clear().map_err(|error| self.disk(&error))?;
            self.check_space(&partial, size)?;
            prefix = Prefix::default();
            let message = "what was there is the beginning of another file of that name; starting from nothing";
            self.bar.suspend(|| self.tell.tell(&Event::Warning { message }));
            say(link, &Message::Accept { offset: 0 }).await?;
            let Message::Start { offset: 0, .. } = hear(link).await? else { return Err(unexpected()) };
        }
        self.position = partial.length();
        self.bar.set_length(size);
        self.bar.set_position(self.position);
        let offset = self.position;
        self.bar.suspend(|| self.tell.tell(&Event::Started { name: &name, size, offset }));
        say(link, &Message::Go).await?;
        self.write(link, &mut partial, &mut prefix, size).await?;
        let Message::End { digest } = hear(link).await? else { return Err(unexpected()) };
        if prefix.length() != size || digest != prefix.digest() {
            partial.discard();
            let message = "what arrived is not what was sent; it was removed";
            let failure = failed(LinkExit::Violation, ErrorKind::Environment, message);
            return Err(Stop::Refuse(Reason::Digest, failure.or_hint("run both commands again")));
        }
        let placed = block_in_place(|| partial.complete(&place, self.force, self.umask));
        placed.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&place),
            _ => self.disk(&error),
        })?;
        self.finished = Some(Finished { name, place, size, digest, known: false });
        Ok(())
    }

    /// Everything up to the end of the stream.
    async fn write(&mut self, link: &Link, partial: &mut Partial, prefix: &mut Prefix, size: u64) -> Result<(), Stop> {
        let mut buf = vec![0; READ];
        loop {
            let read = link.read(&mut buf).await?;
            let bytes = buf.get(..read).unwrap_or_default();
            if read == 0 {
                // Another message, or the end: whoever hears next finds out.
                return Ok(());
            }
            if prefix.length() + read as u64 > size {
                return Err(unexpected());
            }
            let written = block_in_place(|| partial.write(bytes));
            written.map_err(|error| self.disk(&error))?;
            prefix.update(bytes);
            self.position = prefix.length();
            self.bar.set_position(self.position);
            if link.next_code().is_some_and(|code| !Message::is_data(code)) {
                return Ok(());
            }
        }
    }

    /// The sender may not know that we have it: it offers it once more, and shows by its hash that it is the same.
    async fn confirm(&self, link: &Link, size: u64, finished: Digest) -> Result<(), Stop> {
        say(link, &Message::Accept { offset: size }).await?;
        let Message::Start { offset, digest } = hear(link).await? else { return Err(unexpected()) };
        if (offset, digest) != (size, finished) {
            return Err(Stop::Refuse(
                Reason::Changed,
                failed(LinkExit::Violation, ErrorKind::Conflict, "the file changed after it was sent"),
            ));
        }
        say(link, &Message::Go).await?;
        let Message::End { .. } = hear(link).await? else { return Err(unexpected()) };
        Ok(())
    }

    fn check(&self, place: &Path, size: u64) -> Result<(), Stop> {
        if size > self.max_size {
            let message = format!("the file has {size} bytes, more than --max-size");
            let failure = unusable(ErrorKind::Limit, message).or_hint("give a larger --max-size to take it");
            return Err(Stop::Refuse(Reason::Space, failure));
        }
        match place.symlink_metadata() {
            Ok(found) if !self.force || found.is_dir() => Err(exists(place)),
            _ => Ok(()),
        }
    }

    fn check_space(&self, partial: &Partial, size: u64) -> Result<(), Stop> {
        let space = partial.space().map_err(|error| self.disk(&error))?;
        let missing = size - partial.length();
        if missing <= space {
            return Ok(());
        }
        let message = format!("{missing} bytes are to come, and the disk has room for {space}");
        let failure = unusable(ErrorKind::Limit, message).or_hint("make room and run both commands again");
        Err(Stop::Refuse(Reason::Space, failure))
    }

    fn disk(&self, error: &io::Error) -> Stop {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let (reason, hint) = if full {
            (Reason::Space, "make room and run both commands again; what arrived stays")
        } else {
            (Reason::Disk, "look at the folder and its disk")
        };
        let message = format!("cannot write to {}: {error}", self.folder.display());
        Stop::Refuse(reason, unusable(ErrorKind::Environment, message).or_hint(hint))
    }
}

impl Side for Receiver {
    async fn over(&mut self, link: &Link) -> Result<(), Stop> {
        let offer = timeout(OFFER, hear(link)).await.map_err(|_| Stop::Failed(silent()))??;
        let Message::Offer { size, name: theirs } = offer else { return Err(unexpected()) };
        let name = harmless(&theirs);
        match &self.finished {
            None => {
                if name != theirs {
                    let message = format!("the other side named the file otherwise; here it is {name}");
                    self.tell.tell(&Event::Warning { message: &message });
                }
                self.take(link, size, name).await?;
            }
            Some(done) if (done.size, &done.name) == (size, &name) => self.confirm(link, size, done.digest).await?,
            Some(done) => return Err(exists(&done.place)),
        }
        let Some(finished) = &mut self.finished else { return Err(unexpected()) };
        say(link, &Message::Done { digest: finished.digest }).await?;
        // Its end says that it knows.
        if link.recv().await?.is_some() {
            return Err(unexpected());
        }
        finished.known = true;
        Ok(())
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn is_complete(&self) -> Option<Duration> {
        self.finished.as_ref().map(|_| CONFIRM)
    }
}

/// Nothing is overwritten.
fn exists(place: &Path) -> Stop {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let failure = unusable(ErrorKind::Conflict, format!("there is a {name} already"));
    Stop::Refuse(Reason::Exists, failure.or_hint("move it away, or give --force to replace it"))
}

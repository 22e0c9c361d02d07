//! The task of one connection: from the socket's first byte until the engine knows why it ended.

use super::dial::{Place, Target, connect};
use super::link::{Link, LinkCommand};
use super::{DriverEvent, Shared};
use crate::limits::Permit;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use waypost_core::SrempAddress;
use waypost_sremp::connection::Connection;
use waypost_sremp::{CloseReason, ErrorCode, LinkId};

/// A timer that is set but not needed.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// How a link's task is reached.
pub(super) struct Reins {
    pub(super) queue: mpsc::Receiver<LinkCommand>,
    /// End at once.
    pub(super) cut: CancellationToken,
}

/// Starts the task of an accepted connection.
pub(super) fn accepted(shared: &Arc<Shared>, stream: TcpStream, remote: SocketAddr, permit: Permit) {
    let id = shared.next_accepted();
    let Some(reins) = shared.open(id) else { return };
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        // A connection that cannot take the option is not worth refusing.
        let _ = stream.set_nodelay(true);
        let (now, timing) = (shared.clock.now(), shared.timing.connection);
        let machine = Connection::accept(now, shared.keys(), shared.machine.clone(), timing);
        let link = Box::new(Link::new(&shared, id, remote.to_string(), machine, Some(permit)));
        run(&shared, link, stream, reins).await;
    });
}

/// Starts the task that dials.
pub(super) fn dial(shared: &Arc<Shared>, id: LinkId, to: Target) {
    let Some(mut reins) = shared.open(id) else {
        tracing::error!(link = id.0, "the name of a link was used twice");
        return;
    };
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let reason = match dial_and_run(&shared, id, to, &mut reins).await {
            Ok((link, stream, _place)) => return run(&shared, link, stream, reins).await,
            Err(reason) => reason,
        };
        shared.forget(id);
        shared.tell(DriverEvent::Closed { link: id, reason }).await;
    });
}

async fn dial_and_run<'a>(
    shared: &'a Shared,
    id: LinkId,
    to: Target,
    reins: &mut Reins,
) -> Result<(Box<Link<'a>>, TcpStream, Place<'a>), CloseReason> {
    let place = Place::take(shared).ok_or(CloseReason::Local(ErrorCode::Limit))?;
    let stream = connect(shared, &to, reins).await?;
    let (now, timing) = (shared.clock.now(), shared.timing.connection);
    let machine = Connection::dial(now, &mut rand::rng(), shared.keys(), to.dialled, shared.machine.clone(), timing)
        .map_err(|error| CloseReason::Local(error.code()))?;
    Ok((Box::new(Link::new(shared, id, to.address.to_string(), machine, None)), stream, place))
}

/// Starts the task that looks up a host.
pub(super) fn resolve(shared: &Arc<Shared>, ticket: u64, host: SrempAddress) {
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let found = tokio::select! {
            found = shared.dialling.resolve(&host, shared.timing.connect) => found,
            () = shared.stop.cancelled() => return,
        };
        shared.tell(DriverEvent::Resolved { ticket, found }).await;
    });
}

/// Runs a connection to its end.
///
/// What the machine and its surroundings are in lies apart: a future holds what it is given more than once.
async fn run(shared: &Shared, mut link: Box<Link<'_>>, stream: TcpStream, mut reins: Reins) {
    let reason = converse(shared, &mut link, &stream, &mut reins).await;
    let id = link.id();
    shared.forget(id);
    let (announced, news) = (link.is_announced(), link.take_news());
    // Needed at the end alone, so it takes no room before.
    let end = Box::pin(async {
        let tell = async {
            for event in news {
                shared.tell(event).await;
            }
            if announced {
                shared.tell(DriverEvent::Closed { link: id, reason }).await;
            } else {
                shared.traffic.count_dropped(reason.name());
            }
        };
        let part = async {
            tokio::select! {
                () = part(shared, &mut link, stream) => {}
                () = reins.cut.cancelled() => {}
            }
        };
        tokio::join!(tell, part);
    });
    end.await;
}

/// Until one side ends it.
async fn converse(shared: &Shared, link: &mut Link<'_>, stream: &TcpStream, reins: &mut Reins) -> CloseReason {
    let Reins { queue, cut } = reins;
    let mut cut = pin!(cut.cancelled());
    let mut stop = pin!(shared.stop.cancelled());
    let mut timer = pin!(sleep_until(Instant::now() + FAR));
    loop {
        if link.closed().is_none() {
            link.flush(stream);
            link.note_unsent(queue.len());
            link.tell();
        }
        if let Some(reason) = link.closed() {
            return reason;
        }
        let due = link.deadline().unwrap_or_else(|| Instant::now() + FAR);
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        tokio::select! {
            () = &mut cut => link.cut(),
            () = &mut stop => link.stop(|| queue.try_recv().ok()),
            ready = stream.writable(), if link.has_unsent() => link.check(ready),
            // What there is room for is told at the start of the loop.
            () = link.room_for_news() => {}
            Some(command) = queue.recv(), if link.may_command() => link.commands(command, || queue.try_recv().ok()),
            ready = stream.readable(), if link.may_read() => match ready {
                Ok(()) => link.read(stream),
                error => link.check(error),
            },
            () = &mut timer => link.tick(),
        }
    }
}

/// Writes what is left, and reads on for a moment so that the other side gets it: data that arrives
/// at a closed socket would make the system throw away what is still on its way.
async fn part(shared: &Shared, link: &mut Link<'_>, mut stream: TcpStream) {
    if !link.has_unsent() {
        return;
    }
    let written = async {
        while link.flush_rest(&stream) {
            if stream.writable().await.is_err() {
                return false;
            }
        }
        link.is_sound()
    };
    if !timeout(shared.timing.write, written).await.unwrap_or(false) {
        return;
    }
    let until_eof = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut scrap = [0; 512];
        while stream.read(&mut scrap).await.is_ok_and(|count| count > 0) {}
    };
    // Whether it ends in time or not, it ends.
    let _ = timeout(shared.timing.connection.linger, until_eof).await;
}

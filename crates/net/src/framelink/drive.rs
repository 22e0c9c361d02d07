//! The task of a link: reads, writes and keeps time until it is over. Profile FL-1.4, FL-2.1.

use super::Transport;
use super::machine::{Awaited, Shared};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use waypost_framelink::code;
use waypost_framelink::link::{Input, Output};

/// Bytes read at once.
const READ: usize = 128 * 1024;
/// Bytes written before the machine is told so: enough to keep the transport busy, not so much that
/// the application waits for long.
const WRITE: usize = 256 * 1024;
/// Less than this is rather copied than written by itself.
const SMALL: usize = 4 * 1024;

/// How long the last bytes may take to leave: the profile gives a peer as long to read them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a transport is to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Close,
    Reset,
}

/// Runs a link over its transport.
pub(super) async fn drive<T: Transport>(shared: Arc<Shared>, transport: T, stop: CancellationToken) {
    let (mut reader, mut writer) = transport.apart();
    let ending = {
        let mut writing = std::pin::pin!(write(&shared, &mut writer));
        tokio::select! {
            ending = &mut writing => ending,
            // What was said last may still be on its way out.
            () = read(&shared, &mut reader, &stop) => match timeout(LAST_WORDS, &mut writing).await {
                Ok(ending) => ending,
                Err(_) => drain(&shared),
            },
        }
    };
    match ending {
        Ending::Reset => T::reset(reader, writer),
        Ending::Close => drop((reader, writer)),
    }
    let was_open = {
        let mut state = shared.lock();
        state.gone = true;
        state.opened.is_some()
    };
    if let (true, Some(crowd)) = (was_open, &shared.crowd) {
        crowd.leave();
    }
    shared.wake_application();
    shared.opened.notify_waiters();
    shared.ended.notify_waiters();
}

/// Reads until the machine wants nothing more.
async fn read(shared: &Shared, reader: &mut (impl AsyncRead + Unpin), stop: &CancellationToken) {
    let mut buf = vec![0; READ];
    let mut at_end = false;
    let mut told_to_stop = false;
    let mut alarm = std::pin::pin!(sleep_until(Instant::now()));
    loop {
        let awaited = {
            let mut state = shared.lock();
            if state.machine.is_over() {
                return;
            }
            let before = state.awaited.due;
            let now = shared.now().mono;
            // An alarm that rings too early is cheaper than one that is put off with each frame.
            let due = match (state.machine.poll_timeout(), before) {
                (Some(due), Some(before)) if before <= due && before > now => Some(before),
                (due, _) => due,
            };
            if let Some(due) = due.filter(|_| due != before) {
                alarm.as_mut().reset(shared.clock.instant(due));
            }
            state.awaited = Awaited { wants_bytes: state.machine.wants_bytes(), due };
            state.awaited
        };
        let input = tokio::select! {
            read = reader.read(&mut buf), if awaited.wants_bytes && !at_end => match read {
                Ok(0) => {
                    at_end = true;
                    Input::Eof
                }
                Ok(length) => Input::Bytes(buf.get(..length).unwrap_or_default()),
                Err(_) => {
                    at_end = true;
                    Input::Broken
                }
            },
            () = &mut alarm, if awaited.due.is_some() => Input::Tick,
            () = shared.changed.notified() => continue,
            () = stop.cancelled(), if !told_to_stop => {
                told_to_stop = true;
                Input::Abort { code: code::error::GOING_AWAY, text: "" }
            }
        };
        let mut state = shared.lock();
        if let Some(crowd) = &shared.crowd {
            state.machine.set_busy(crowd.is_full());
        }
        // What the other side does wrong is the machine's business, and an event.
        let _ = state.machine.handle(shared.now(), &mut rand::rng(), input);
        let has_output = state.machine.has_output();
        drop(state);
        if has_output {
            shared.outputs.notify_one();
        }
        shared.wake_application();
    }
}

/// Writes what the machine gives until it says how to end.
async fn write(shared: &Shared, writer: &mut (impl AsyncWrite + Unpin)) -> Ending {
    let mut batch = Vec::new();
    loop {
        let then = next(shared, &mut batch);
        if batch.is_empty() && then.is_none() {
            shared.outputs.notified().await;
            continue;
        }
        let mut written = Ok(());
        for bytes in batch.drain(..) {
            if written.is_ok() {
                written = writer.write_all(&bytes).await;
            }
        }
        if written.is_ok() {
            written = writer.flush().await;
        }
        let input = if written.is_ok() { Input::Flushed } else { Input::Broken };
        let _ = shared.handle(input);
        shared.wake_application();
        match then {
            Some(Output::Shutdown) => {
                // A transport that can't end one direction goes on with both.
                let _ = writer.shutdown().await;
            }
            Some(Output::Disconnect) => return Ending::Close,
            Some(Output::Reset) => return Ending::Reset,
            _ => {}
        }
    }
}

/// Takes the next bytes to write, up to what comes behind them.
fn next(shared: &Shared, batch: &mut Vec<Vec<u8>>) -> Option<Output> {
    let mut state = shared.lock();
    let mut length = 0;
    while length < WRITE {
        let output = state.machine.poll()?;
        match shared.note(&mut state, output) {
            Some(Output::Send(bytes)) => {
                length += bytes.len();
                match batch.last_mut() {
                    // What is small leaves together.
                    Some(last) if bytes.len() < SMALL => last.extend_from_slice(&bytes),
                    _ => batch.push(bytes),
                }
            }
            Some(other) => return Some(other),
            None => {}
        }
    }
    None
}

/// The machine is over while a write waits: what it said last.
fn drain(shared: &Shared) -> Ending {
    let mut state = shared.lock();
    let mut ending = Ending::Close;
    while let Some(output) = state.machine.poll() {
        if shared.note(&mut state, output) == Some(Output::Reset) {
            ending = Ending::Reset;
        }
    }
    ending
}

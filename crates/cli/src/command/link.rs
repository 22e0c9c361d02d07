//! `waypost link`: a secured pipe, tunnel or file transfer over framelink. Framelink profile, Tool; FL-7.1.
//!
//! ```text
//! args --Plan--> listen, connect: links --bridge--> standard input and output, or TCP connections
//! ```
//! It needs a key file and nothing else of Waypost: no identity, no data folder, no node.

mod bridge;
mod connect;
mod crossing;
mod ending;
mod event;
mod listen;
mod local;
mod plan;
mod raw;
mod transfer;

use crate::args::{Link, NewFile};
use crate::command::up::Signals;
use crate::failure::{Exit, Failure, LinkExit};
use crate::output::Output;
use event::Teller;
use serde::Serialize;
use std::path::Path;
use tokio_util::sync::CancellationToken;
use waypost_core::ErrorKind;
use waypost_framelink::{Block, Psk};
use waypost_net::framelink::{write_block, write_psk};

/// A file that was made.
#[derive(Serialize)]
struct Made<'a> {
    file: &'a Path,
    kind: &'static str,
}

/// Makes a key file.
pub(super) fn keygen(output: Output, args: &NewFile) -> Result<(), Failure> {
    write_psk(&args.file, &Psk::generate(&mut rand::rng())).map_err(ending::key_file)?;
    let file = args.file.display();
    output.talk(&format!("made {file}; both sides need this file, and nobody else may read it"));
    output.talk(&format!("next: copy it to the other machine, for example with  scp {file} server.example:"));
    output.talk(&format!("      there:  waypost link listen 0.0.0.0:7777 --psk-file {file}"));
    output.talk(&format!("      here:   waypost link connect server.example:7777 --psk-file {file}"));
    made(output, &args.file, "psk")
}

/// Makes a block file.
pub(super) fn genblock(output: Output, args: &NewFile) -> Result<(), Failure> {
    write_block(&args.file, &Block::generate(&mut rand::rng())).map_err(ending::key_file)?;
    let file = args.file.display();
    output.talk(&format!("made {file}; it serves one link, once in each role, and nobody else may read it"));
    output.talk("next: copy it to one other machine and delete it on both after the link");
    output.talk(&format!("      there:  waypost link listen 0.0.0.0:7777 --mode raw --block-file {file}"));
    output.talk(&format!("      here:   waypost link connect server.example:7777 --mode raw --block-file {file}"));
    made(output, &args.file, "block")
}

fn made(output: Output, file: &Path, kind: &'static str) -> Result<(), Failure> {
    if output.is_json() { output.json(&Made { file, kind }) } else { Ok(()) }
}

/// Runs links until they end, or until a signal.
pub(super) async fn run(output: Output, command: Link) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let mut signals = Signals::new()?;
    let signalled = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        signalled.cancel();
    });
    match command {
        Link::Listen(args) => listen::run(Teller::new(output, args.options.quiet), args, &stop).await,
        Link::Connect(args) => connect::run(Teller::new(output, args.options.quiet), args, &stop).await,
        Link::Send(args) => transfer::send(Teller::new(output, args.options.quiet), args, &stop).await,
        Link::Receive(args) => transfer::receive(Teller::new(output, args.options.quiet), args, &stop).await,
        Link::Keygen(_) | Link::Genblock(_) => Ok(()),
    }
}

/// What this machine does not let.
fn unusable(kind: ErrorKind, message: impl Into<String>) -> Failure {
    Failure::new(kind, message).exiting(Exit::Link(LinkExit::Usage))
}

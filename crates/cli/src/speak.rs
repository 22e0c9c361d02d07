//! `waypost speak`: a bare protocol without a node, for debugging and for tests against other software.
//!
//! Every protocol speaks alike: commands as JSON objects on stdin, one a line; events the same way on
//! stdout, the first one `ready`.

mod fields;
mod framelink;
mod keys;
mod lines;
mod proofpeer;
mod serving;
mod sremp;
mod sremp_relay;
mod sremp_rendezvous;
mod values;

use crate::failure::{Exit, Failure};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use std::net::SocketAddr;
use std::{fmt, io};
use tokio::net::lookup_host;
use waypost_core::{ErrorKind, HasKind};

/// Which protocol.
#[derive(Debug, Subcommand)]
pub(crate) enum Speak {
    /// Speak framelink with one peer or with all that connect
    #[command(subcommand)]
    Framelink(framelink::Side),
    /// Be a peer of ProofPeer, by MQTT brokers
    Proofpeer(Box<proofpeer::ProofPeerArgs>),
    /// Speak SREMP with one peer or with all that connect
    #[command(subcommand)]
    Sremp(sremp::Role),
    /// Be a relay of SREMP, or a bare client of one
    #[command(subcommand)]
    SrempRelay(sremp_relay::Role),
    /// Be a rendezvous server of SREMP, or a bare client of one
    #[command(subcommand)]
    SrempRendezvous(sremp_rendezvous::Role),
}

/// Speaks until stdin or the conversation ends.
pub(crate) async fn run(speak: Speak) -> Result<(), Failure> {
    let well = match speak {
        Speak::Framelink(side) => framelink::run(side).await,
        Speak::Proofpeer(args) => proofpeer::run(*args).await,
        Speak::Sremp(role) => sremp::run(role).await,
        Speak::SrempRelay(role) => sremp_relay::run(role).await,
        Speak::SrempRendezvous(role) => sremp_rendezvous::run(role).await,
    };
    match well {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::Told(Exit::Failed)),
        Err(error) => Err(failure(&error)),
    }
}

async fn resolve(at: &str) -> anyhow::Result<SocketAddr> {
    let found = lookup_host(at).await.with_context(|| format!("{at} is not HOST:PORT"))?.next();
    match found {
        Some(address) => Ok(address),
        None => bail!("{at} has no address"),
    }
}

fn failure(error: &anyhow::Error) -> Failure {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    if io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe) {
        return Failure::Pipe;
    }
    let bad_input = error.chain().any(|cause| cause.is::<BadInput>());
    let server = error.chain().find_map(|cause| cause.downcast_ref::<waypost_server::Error>());
    let net = error.chain().find_map(|cause| cause.downcast_ref::<waypost_net::Error>());
    let kind = match (server, net) {
        _ if bad_input => ErrorKind::BadInput,
        (Some(server), _) => server.kind(),
        (None, Some(net)) => net.kind(),
        (None, None) => ErrorKind::Environment,
    };
    Failure::new(kind, format!("{error:#}"))
}

/// What was given on the command line cannot be right.
#[derive(Debug)]
struct BadInput(&'static str);

impl std::error::Error for BadInput {}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

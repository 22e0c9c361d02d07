//! `waypost speak sremp-rendezvous`: a rendezvous server with its events shown, and a client that does only
//! what it is told.

mod command;
mod dial;
mod listen;

use super::keys::KeyArgs;
use super::serving::ServingArgs;
use clap::{Args, Subcommand};
use waypost_sremp::rendezvous::ServerUri;

/// Which side to be.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Connect to a rendezvous server as a bare client; ends with the connection
    #[command(after_help = "\
Example:
  waypost speak sremp-rendezvous dial 'sremp-rdv://127.0.0.1:7320?spki=…'")]
    Dial(DialArgs),
    /// Be a rendezvous server; `ready` has the address to dial
    #[command(after_help = "\
Example:
  waypost speak sremp-rendezvous listen 127.0.0.1:0")]
    Listen(ListenArgs),
}

/// Arguments of `dial`.
#[derive(Debug, Args)]
pub(crate) struct DialArgs {
    /// The server: sremp-rdv://host:port, with ?spki= if its key is pinned
    #[arg(value_name = "URI")]
    server: ServerUri,
    #[command(flatten)]
    keys: KeyArgs,
}

/// Arguments of `listen`.
#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    /// Where to listen
    #[arg(value_name = "HOST:PORT")]
    at: String,
    #[command(flatten)]
    serving: ServingArgs,
}

pub(super) async fn run(role: Role) -> anyhow::Result<bool> {
    match role {
        Role::Dial(args) => dial::run(args).await,
        Role::Listen(args) => listen::run(args).await,
    }
}

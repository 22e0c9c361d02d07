//! `waypost speak sremp-relay`: a relay with its events shown, and a client that does only what it is told.

mod command;
mod dial;
mod listen;

use super::keys::{self, KeyArgs};
use super::serving::ServingArgs;
use clap::{Args, Subcommand};
use waypost_core::{ContactId, SrempAddress};
use waypost_sremp::x25519::PublicKey;

/// Which side to be.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Connect to a relay as a bare client; ends with the connection
    #[command(after_help = "\
Example:
  waypost speak sremp-relay dial 127.0.0.1:7310 --relay IDENTITY_KEY")]
    Dial(DialArgs),
    /// Be a relay
    #[command(after_help = "\
Example:
  waypost speak sremp-relay listen 127.0.0.1:0 --set rate_store=6000 --set sender_messages=10000")]
    Listen(ListenArgs),
}

/// Arguments of `dial`.
#[derive(Debug, Args)]
pub(crate) struct DialArgs {
    /// Where the relay listens
    #[arg(value_name = "HOST:PORT")]
    to: SrempAddress,
    /// The relay's identity that must answer, 64 hex digits [default: any]
    #[arg(long, visible_alias = "key", value_name = "HEX")]
    relay: Option<ContactId>,
    /// The noise key that must be there before we show ours, 64 hex digits [default: any]
    #[arg(long, value_name = "HEX", value_parser = keys::public_key)]
    noise: Option<PublicKey>,
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
    keys: KeyArgs,
    #[command(flatten)]
    serving: ServingArgs,
}

pub(super) async fn run(role: Role) -> anyhow::Result<bool> {
    match role {
        Role::Dial(args) => dial::run(args).await,
        Role::Listen(args) => listen::run(args).await,
    }
}

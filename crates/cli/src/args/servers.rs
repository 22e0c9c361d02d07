//! Arguments of commands about servers and the paths to people.

use super::Who;
use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;

/// `ping`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The exit code is 4 if there is no path now.")]
pub(crate) struct Ping {
    #[command(flatten)]
    pub(crate) who: Who,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) wait: u64,
}

/// `server`.
#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Use a server
    #[command(after_help = "\
A relay keeps your letters while you are away; up to three can be used. A rendezvous server
tells your contacts where you are. Their operators give you the addresses; `waypost serve`
prints those of your own.

Examples:
  waypost server add 'sremp-relay://relay.example:7310?k=…'
  waypost server add 'sremp-rdv://rendezvous.example:7320'")]
    Add {
        /// The server's address, in quotes
        server: String,
        /// How long to wait for its first answer; 0 to go on at once
        #[arg(long, value_name = "SECS", default_value_t = 10)]
        wait: u64,
    },
    /// List your servers and how they are
    List {
        /// List servers that your rendezvous servers named; none is used before you add it
        #[arg(long)]
        suggested: bool,
    },
    /// Stop using a server
    Remove(WhichServer),
    /// Find out whether a server works
    Test(WhichServer),
}

/// A server.
#[derive(Debug, ClapArgs)]
pub(crate) struct WhichServer {
    /// Its address, or a part that only it has, like HOST:PORT
    pub(crate) server: String,
}

/// `serve`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Roles:
  relay        keeps letters for people who are away; it cannot read them
  rendezvous   tells people where their contacts are

On a fresh machine nothing needs to be set: keys and a certificate are made in the data
folder, and the addresses to give to others are printed. Ctrl-C stops it cleanly.

Examples:
  waypost serve relay rendezvous
  waypost serve relay --advertise relay.example --data /var/lib/waypost
  waypost serve --print-config > waypost-server.toml
  waypost serve --config waypost-server.toml")]
pub(crate) struct Serve {
    /// What to be [default: the roles in the settings file]
    #[arg(value_name = "ROLE", value_parser = ["relay", "rendezvous"])]
    pub(crate) roles: Vec<String>,
    /// The settings file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where keys and letters are kept [default: server in the data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The host name or address that others use for this machine
    #[arg(long, value_name = "HOST")]
    pub(crate) advertise: Option<String>,
    /// Print all settings with their meaning, and stop
    #[arg(long)]
    pub(crate) print_config: bool,
}

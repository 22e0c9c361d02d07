//! `waypost speak framelink`: links as they are, frame by frame.

mod command;
mod links;
mod options;
mod report;
mod talk;

use super::lines;
use clap::Subcommand;
use links::Links;
use options::{LinkArgs, Options};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};
use waypost_framelink::{MacInit, Mode, Role};
use waypost_net::tcp;

/// At the end of stdin, how long links may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which side to be.
#[derive(Debug, Subcommand)]
pub(crate) enum Side {
    /// Connect to a peer; ends with the link
    #[command(after_help = "\
Example:
  waypost speak framelink connect 127.0.0.1:7400 --psk-file link.psk")]
    Connect {
        /// Where the peer listens
        #[arg(value_name = "HOST:PORT")]
        to: String,
        #[command(flatten)]
        args: Box<LinkArgs>,
    },
    /// Wait for peers, one after another or several at once; with a raw block for one
    #[command(after_help = "\
Example:
  waypost speak framelink listen 127.0.0.1:0 --psk-file link.psk --mode hybrid,psk
  port 0 takes a free one; `ready` tells which")]
    Listen {
        /// Where to listen
        #[arg(value_name = "ADDR:PORT")]
        at: String,
        #[command(flatten)]
        args: Box<LinkArgs>,
    },
}

pub(super) async fn run(side: Side) -> anyhow::Result<bool> {
    match side {
        Side::Connect { to, args } => {
            let options = args.check(Role::Top)?;
            let to = super::resolve(&to).await?;
            ready(&options, None)?;
            let stream = TcpStream::connect(to).await?;
            let mut links = Links::new(options, false);
            links.take(stream)?;
            speak(links, None).await
        }
        Side::Listen { at, args } => {
            let options = args.check(Role::Bottom)?;
            let listener = tcp::listen(super::resolve(&at).await?)?;
            ready(&options, Some(&listener))?;
            speak(Links::new(options, true), Some(listener)).await
        }
    }
}

fn ready(options: &Options, listener: Option<&TcpListener>) -> anyhow::Result<()> {
    let bound = listener.map(TcpListener::local_addr).transpose()?;
    let standard = options.settings().framing.mac_init == MacInit::Standard;
    lines::Event::new("ready")
        .with_some("bound", bound.map(|bound| bound.to_string()))
        .with("role", options.role().name())
        .with("modes", options.modes().iter().map(|mode| mode.name()).collect::<Vec<_>>())
        .with_some("warning", standard.then_some("with mac-init standard, who knows a frame's content can forge it"))
        .print()?;
    Ok(())
}

/// Speaks until the end of stdin, or of the link that was connected.
async fn speak(mut links: Links, mut listener: Option<TcpListener>) -> anyhow::Result<bool> {
    let listens = listener.is_some();
    let mut commands = lines::commands();
    let mut end: Option<Instant> = None;
    loop {
        if end.is_some() {
            listener = None;
        }
        if listener.is_none() && links.is_empty() && (end.is_some() || !listens) {
            break;
        }
        tokio::select! {
            taken = accept(listener.as_ref()), if listener.is_some() && links.has_room() => {
                links.take(taken?)?;
                if links.modes() == [Mode::Raw] {
                    // A block serves one link.
                    listener = None;
                }
            }
            happened = links.next(), if !links.is_empty() => happened?,
            command = commands.recv(), if end.is_none() => match command {
                Some(command) => links.command(command)?,
                None => {
                    links.close_all();
                    end = Some(Instant::now() + PATIENCE);
                }
            },
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => {
                lines::Event::new("unfinished").print()?;
                return Ok(false);
            }
        }
    }
    Ok(links.went_well(listens))
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

//! `waypost speak sremp`: the account and the connections of SREMP, with nothing on disk.

mod command;
mod report;
mod speaker;

use super::{keys, lines};
use clap::{Args, Subcommand};
use keys::KeyArgs;
use speaker::Speaker;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use waypost_core::{ContactId, SrempAddress};
use waypost_net::Clock;
use waypost_net::sremp::{DriverCommand, DriverConfig, SrempDriver};
use waypost_sremp::connection::{ConnectionKeys, Dialled};
use waypost_sremp::endpoint::Learned;
use waypost_sremp::{LinkId, x25519::PublicKey};

/// Events that wait for us.
const INBOX: usize = 64;
/// At the end of stdin, how long confirmations are waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// After a close, how long the other side's end is waited for.
const PARTING: Duration = Duration::from_secs(5);
/// The only connection that is dialled.
const DIALLED: LinkId = LinkId(2);

/// Which side to be.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Connect to a peer; ends with the connection
    #[command(after_help = "\
Example:
  waypost speak sremp dial 127.0.0.1:7300 --key IDENTITY_KEY --noise NOISE_KEY")]
    Dial {
        /// Where the peer listens
        #[arg(value_name = "HOST:PORT")]
        to: SrempAddress,
        /// The identity that must answer, 64 hex digits [default: any]
        #[arg(long, value_name = "HEX")]
        key: Option<ContactId>,
        /// The noise key that must be there before we show ours, 64 hex digits [default: any]
        #[arg(long, value_name = "HEX", value_parser = keys::public_key)]
        noise: Option<PublicKey>,
        #[command(flatten)]
        common: Common,
    },
    /// Wait for peers, one after another or several at once
    #[command(after_help = "\
Example:
  waypost speak sremp listen 127.0.0.1:0        port 0 takes a free one; `ready` tells which")]
    Listen {
        /// Where to listen
        #[arg(value_name = "HOST:PORT")]
        at: String,
        #[command(flatten)]
        common: Common,
    },
}

/// What holds for both.
#[derive(Debug, Args)]
pub(crate) struct Common {
    #[command(flatten)]
    keys: KeyArgs,
    /// Treat all peers as contacts: texts up to 900000 bytes instead of 61000
    #[arg(long)]
    trust: bool,
}

pub(super) async fn run(role: Role) -> anyhow::Result<bool> {
    let (common, listen, dial) = match role {
        Role::Dial { to, key, noise, common } => {
            (common, Vec::new(), Some((to, Dialled { identity: key, pin: noise })))
        }
        Role::Listen { at, common } => (common, vec![super::resolve(&at).await?], None),
    };
    let keys = common.keys.load()?;
    let (sender, mut news) = mpsc::channel(INBOX);
    let config = DriverConfig { listen, ..DriverConfig::default() };
    let shown = ConnectionKeys::new(keys.noise.clone(), keys.identity.clone())?;
    let driver = SrempDriver::start(config, shown, sender).await?;
    lines::Event::new("ready")
        .with_some("bound", driver.listening().first().map(ToString::to_string))
        .with("identity_key", keys.identity.key().to_string())
        .with("noise_key", hex::encode(keys.identity.noise_key().0))
        .with("username", keys.identity.username())
        .with("version", keys.identity.version().to_string())
        .print()?;
    let listens = dial.is_none();
    if let Some((to, dialled)) = dial {
        driver.command(DriverCommand::Dial { link: DIALLED, to, learned: Learned::FromUser, dialled });
    }
    let clock = Clock::start();
    let mut speaker = Speaker::new(&clock, keys, &driver, common.trust);
    let mut commands = lines::commands();
    let mut end: Option<Instant> = None;
    loop {
        if end.is_none() && speaker.is_closing() {
            end = Some(Instant::now() + PARTING);
        }
        let over = !speaker.has_links() && (speaker.is_closing() || !listens && speaker.has_ended());
        if over || end.is_some() && !speaker.is_closing() && !speaker.has_unconfirmed() {
            break;
        }
        let due = speaker.due().map_or_else(|| Instant::now() + PATIENCE, |at| clock.instant(at));
        tokio::select! {
            Some(event) = news.recv() => speaker.news(event)?,
            command = commands.recv(), if end.is_none() => match command {
                Some(command) => speaker.command(command)?,
                None => end = Some(Instant::now() + PATIENCE),
            },
            () = tokio::time::sleep_until(due) => speaker.tick()?,
            () = tokio::time::sleep_until(end.unwrap_or(due)), if end.is_some() => break,
        }
    }
    let well = speaker.finish()?;
    driver.stop().await;
    Ok(well)
}

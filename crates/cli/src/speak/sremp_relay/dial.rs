//! A bare client of a relay.

use super::DialArgs;
use super::command::{Command, Signer, is_answer, is_answered};
use crate::speak::{fields, lines};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use waypost_net::Clock;
use waypost_net::sremp::{DriverCommand, DriverConfig, DriverEvent, SrempDriver};
use waypost_sremp::connection::{ConnectionKeys, Dialled, Verdict};
use waypost_sremp::endpoint::Learned;
use waypost_sremp::{CloseReason, LinkId};

/// Events that wait for us.
const INBOX: usize = 64;
/// At the end of stdin, how long answers are waited for; after a close, the other side's end.
const PATIENCE: Duration = Duration::from_secs(15);
/// The only connection.
const LINK: LinkId = LinkId(2);

/// Speaks until the connection ends.
pub(super) async fn run(args: DialArgs) -> anyhow::Result<bool> {
    let keys = args.keys.load()?;
    let (sender, mut news) = mpsc::channel(INBOX);
    let shown = ConnectionKeys::new(keys.noise.clone(), keys.identity.clone())?;
    let driver = SrempDriver::start(DriverConfig::default(), shown, sender).await?;
    lines::Event::new("ready")
        .with("identity_key", keys.identity.key().to_string())
        .with("noise_key", hex::encode(keys.identity.noise_key().0))
        .with("username", keys.identity.username())
        .with("version", keys.identity.version().to_string())
        .print()?;
    let dialled = Dialled { identity: args.relay, pin: args.noise };
    driver.command(DriverCommand::Dial { link: LINK, to: args.to, learned: Learned::FromUser, dialled });
    let (clock, mut commands) = (Clock::start(), lines::commands::<Command>());
    let (mut signer, mut relay): (Option<Signer<'_>>, _) = (None, None);
    let (mut owed, mut well, mut end, mut closing) = (0u64, true, None, false);
    let reason = loop {
        if end.is_some() && owed == 0 && !closing {
            closing = true;
            driver.command(DriverCommand::Close(LINK, None));
        }
        let due = end.unwrap_or_else(|| Instant::now() + PATIENCE);
        tokio::select! {
            event = news.recv() => match event {
                Some(DriverEvent::Identified { link, identity }) => {
                    relay = Some(identity);
                    driver.command(DriverCommand::Judge(link, Verdict::Accept { known: true }));
                }
                Some(DriverEvent::Ready { peer, remote, handshake_hash, .. }) => {
                    let Some(dr) = keys.identity.dr_key() else { break CloseReason::Stopped };
                    signer = Some(Signer { keys: &keys, dr, relay: peer, handshake_hash });
                    lines::Event::new("connected")
                        .with("identity_key", peer.to_string())
                        .with_some("noise_key", relay.as_ref().map(|relay| hex::encode(relay.noise_key().0)))
                        .with_some("username", relay.as_ref().map(|relay| relay.username().to_owned()))
                        .with_some("is_relay", relay.as_ref().map(|relay| relay.flags().is_relay_server))
                        .with("handshake_hash", hex::encode(handshake_hash))
                        .with("remote", remote)
                        .print()?;
                }
                Some(DriverEvent::Message { message, .. }) => {
                    owed = owed.saturating_sub(u64::from(is_answer(&message)));
                    fields::event(&message).print()?;
                }
                Some(DriverEvent::Closed { reason, .. }) => break reason,
                Some(_) => {}
                None => break CloseReason::Stopped,
            },
            command = commands.recv(), if end.is_none() && signer.is_some() => match (command, &signer) {
                (Some(Ok(Command::Close {})), _) => {
                    closing = true;
                    end = Some(Instant::now() + PATIENCE);
                    driver.command(DriverCommand::Close(LINK, None));
                }
                (Some(Ok(Command::Raw { bytes })), _) => driver.command(DriverCommand::SendRaw(LINK, bytes.0)),
                (Some(Ok(command)), Some(signer)) => {
                    if let Some(message) = signer.message(clock.now(), command) {
                        owed = owed.saturating_add(u64::from(is_answered(&message)));
                        driver.command(DriverCommand::Send(LINK, message));
                    }
                }
                (Some(Err(why)), _) => {
                    well = false;
                    lines::Event::new("bad_command").with("why", why).print()?;
                }
                _ => end = Some(Instant::now() + PATIENCE),
            },
            () = sleep_until(due), if end.is_some() => break CloseReason::Timeout,
        }
    };
    driver.stop().await;
    let failed = match reason {
        CloseReason::Local(code) => Some(("us", code)),
        CloseReason::Peer(code) => Some(("peer", code)),
        _ => None,
    };
    if let Some((by, code)) = failed {
        let error = lines::Event::new("error").with("by", by).with("code", code.name());
        error.with("fatal", true).with("deviation", by == "us").print()?;
    }
    lines::Event::new("closed").with("reason", reason.name()).print()?;
    Ok(well && matches!(reason, CloseReason::Eof | CloseReason::Stopped))
}

//! A game: a thousand positions a second to one other player, each worthless when the next is there.
//!
//! `proofpeer_positions mqtt://127.0.0.1`: the first player waits until a second one runs the same.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use waypost_net::proofpeer::{Config, Event, KeyType, PresenceState, ProofPeer, generate_key};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = std::env::args().nth(1).ok_or("BROKER")?;
    let config = Config::new("waypost.example.game", generate_key(KeyType::Ed25519)?).broker(&broker)?;
    let mut peer = ProofPeer::start(config)?;
    peer.join("arena", None).await?;
    let mut frames = interval(Duration::from_millis(1));
    frames.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut other, mut ready, mut sent, mut seen) = (None, false, 0_u32, 0_u32);
    loop {
        tokio::select! {
            Some(event) = peer.next() => match event {
                Event::Presence(change) if change.state == PresenceState::Online && other.is_none() => {
                    println!("playing with {}", change.peer);
                    other = Some(change.peer);
                    // The first message opens the session.
                    peer.send(change.peer, b"hello", true).await?;
                }
                Event::SessionOpened { auth, .. } if auth.proven => ready = true,
                Event::Deliver(_) => seen += 1,
                _ => {}
            },
            _ = frames.tick(), if ready => {
                let Some(other) = other else { continue };
                let angle = f64::from(sent) / 1000.0;
                let position = format!("{:.3} {:.3}", angle.cos(), angle.sin());
                peer.send(other, position.as_bytes(), false).await?;
                sent += 1;
                if sent.is_multiple_of(1000) {
                    println!("{sent} sent, {seen} seen");
                }
            }
        }
    }
}

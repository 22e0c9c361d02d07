//! A sensor: a measurement a second by two brokers at once, in a channel that only those who know the passphrase read.
//! `proofpeer_sensor PASSPHRASE BROKER [BROKER..]`
#![allow(clippy::print_stderr, reason = "that is what it is for")]

use std::time::Duration;
use tokio::time::interval;
use waypost_net::proofpeer::{Config, Event, ProofPeer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let passphrase = arguments.next().ok_or("PASSPHRASE BROKER..")?;
    let mut config = Config::with_key_file("waypost.example.home", "sensor.key".as_ref())?;
    for broker in arguments {
        config = config.broker(&broker)?;
    }
    let mut peer = ProofPeer::start(config)?;
    peer.join("kitchen", Some(&passphrase)).await?;
    let mut seconds = interval(Duration::from_secs(1));
    let mut degrees = 20.0;
    loop {
        tokio::select! {
            event = peer.next() => match event {
                Some(Event::Disconnected { broker, reason }) => eprintln!("{broker}: {reason}"),
                Some(_) => {}
                None => return Ok(()),
            },
            _ = seconds.tick() => {
                degrees += 0.1;
                peer.broadcast("kitchen", &format!(r#"{{"celsius":{degrees:.1}}}"#), false).await?;
            }
        }
    }
}

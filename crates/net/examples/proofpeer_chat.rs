//! Everybody in a channel reads what is typed: `proofpeer_chat mqtt://127.0.0.1 lobby [passphrase]`.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use tokio::sync::mpsc;
use waypost_net::proofpeer::{Config, Event, ProofPeer, Value};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [broker, channel, passphrase @ ..] = arguments.as_slice() else {
        return Err("BROKER CHANNEL [PASSPHRASE]".into());
    };
    let config = Config::with_key_file("waypost.example.chat", "chat.key".as_ref())?.broker(broker)?;
    let mut peer = ProofPeer::start(config)?;
    peer.join(channel, passphrase.first().map(String::as_str)).await?;
    let (typed, mut lines) = mpsc::channel(1);
    std::thread::spawn(move || std::io::stdin().lines().try_for_each(|line| typed.blocking_send(line).ok()));
    loop {
        tokio::select! {
            Some(event) = peer.next() => {
                if let Event::Deliver(message) = event {
                    let text = message.value.unwrap_or(Value::Null);
                    println!("{:.8}: {text}", message.from.to_string());
                }
            }
            line = lines.recv() => {
                let Some(Ok(line)) = line else { break };
                peer.broadcast(channel, &Value::String(line).to_string(), true).await?;
            }
        }
    }
    peer.shutdown().await;
    Ok(())
}

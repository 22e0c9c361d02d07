//! `waypost speak proofpeer`: a peer of ProofPeer, by MQTT brokers.

mod command;
mod report;

use super::{BadInput, lines};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use command::Command;
use std::io;
use std::path::PathBuf;
use waypost_net::Error;
use waypost_net::proofpeer::{
    Accept, Acknowledge, BrokerUrl, Config, Identity, KeyType, MqttVersion, ProofPeer, from_pkcs8, generate_key,
    read_or_create_key,
};
use zeroize::Zeroizing;

/// Arguments of `waypost speak proofpeer`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waypost speak proofpeer --broker mqtt://127.0.0.1 --app com.example.chat --channel lobby")]
pub(crate) struct ProofPeerArgs {
    /// A broker by mqtt, mqtts, ws or wss, such as mqtt://USER:PASSWORD@HOST:PORT or wss://HOST/PATH; may be repeated
    #[arg(long = "broker", value_name = "URL", required = true)]
    brokers: Vec<BrokerUrl>,
    /// The name of the application
    #[arg(long, value_name = "ID")]
    app: String,
    /// A channel to join, encrypted if there is a passphrase; may be repeated
    #[arg(long = "channel", value_name = "NAME[=PASSPHRASE]")]
    channels: Vec<String>,
    /// File with the own key, PKCS#8; made if it is not there [default: a new key that is not kept]
    #[arg(long, value_name = "FILE", conflicts_with = "key_pkcs8")]
    key: Option<PathBuf>,
    /// The own key, PKCS#8 DER in hex: for tests, since others can see arguments
    #[arg(long, value_name = "HEX")]
    key_pkcs8: Option<String>,
    /// Of which type a new key is
    #[arg(long, value_name = "TYPE", value_enum, default_value = "ed25519")]
    key_type: KeyKind,
    /// Speak as a peer that knows nothing but the first draft: no extension
    #[arg(long, conflicts_with = "strict")]
    literal: bool,
    /// Take nothing from peers who do not bind what they sign
    #[arg(long)]
    strict: bool,
    /// The version of MQTT
    #[arg(long, value_name = "3|5", value_enum, default_value = "3")]
    mqtt: Mqtt,
    /// PEM file with the certificate authorities to believe, in place of those that browsers believe
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Give a receipt only when told so by `acknowledge`
    #[arg(long)]
    hold_receipts: bool,
}

/// Types of keys.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyKind {
    /// Ed25519
    Ed25519,
    /// RSA-2048
    Rsa,
}

/// Versions of MQTT.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mqtt {
    /// 3.1.1
    #[value(name = "3")]
    V3,
    /// 5
    #[value(name = "5")]
    V5,
}

impl ProofPeerArgs {
    fn identity(&self) -> anyhow::Result<Identity> {
        let kind = match self.key_type {
            KeyKind::Ed25519 => KeyType::Ed25519,
            KeyKind::Rsa => KeyType::Rsa,
        };
        Ok(match (&self.key, &self.key_pkcs8) {
            (Some(file), _) => read_or_create_key(file, kind)?,
            (None, Some(text)) => {
                let wrong = BadInput("--key-pkcs8 takes a private key, PKCS#8 DER in hex");
                let der = hex::decode(text).map(Zeroizing::new).ok().context(wrong)?;
                from_pkcs8(&der).context("--key-pkcs8")?
            }
            (None, None) => generate_key(kind)?,
        })
    }

    fn config(&self) -> anyhow::Result<Config> {
        let mut config = Config::new(self.app.as_str(), self.identity()?);
        config.brokers.clone_from(&self.brokers);
        config.ca.clone_from(&self.ca);
        config.show_dropped = true;
        config.settings.literal = self.literal;
        config.mqtt = match self.mqtt {
            Mqtt::V3 => MqttVersion::V3,
            Mqtt::V5 => MqttVersion::V5,
        };
        if self.strict {
            config.settings.accept = Accept::Strict;
        }
        if self.hold_receipts {
            config.acknowledge = Acknowledge::Explicitly;
        }
        Ok(config)
    }
}

/// Speaks until `shutdown` or the end of stdin.
pub(super) async fn run(args: ProofPeerArgs) -> anyhow::Result<bool> {
    let mut peer = ProofPeer::start(args.config()?)?;
    report::ready(&peer).print()?;
    for channel in &args.channels {
        let (name, passphrase) = match channel.split_once('=') {
            Some((name, passphrase)) => (name, Some(passphrase)),
            None => (channel.as_str(), None),
        };
        peer.join(name, passphrase).await.with_context(|| format!("--channel {name}"))?;
    }
    let mut commands = lines::commands::<Command>();
    let mut well = true;
    loop {
        tokio::select! {
            Some(event) = peer.next() => report::event(event, peer.handle()).await.print()?,
            command = commands.recv() => match command {
                None | Some(Ok(Command::Shutdown {})) => break,
                Some(Ok(command)) => well &= told(&peer, command).await?,
                Some(Err(why)) => {
                    well = false;
                    lines::Event::new("bad_command").with("why", why).print()?;
                }
            },
        }
    }
    peer.shutdown().await;
    lines::Event::new("closed").with("reason", "stopped").print()?;
    Ok(well)
}

/// Does what a command says; false if that cannot be done.
async fn told(peer: &ProofPeer, command: Command) -> io::Result<bool> {
    let name = command.name();
    match command::execute(peer, command).await {
        Ok(answers) => answers.into_iter().try_for_each(lines::Event::print).map(|()| true),
        Err(error) => {
            let code = match &error {
                Error::ProofPeer(error) => report::code(*error),
                Error::Busy => "busy",
                Error::NotJson(_) => "bad_json",
                _ => "failed",
            };
            let event = lines::Event::new("error").with("by", "us").with("request", name).with("code", code);
            event.with("why", error.to_string()).print()?;
            Ok(false)
        }
    }
}

//! How a peer is started.

use super::{BrokerUrl, Identity, KeyType, Settings, key_file};
use crate::Error;
use std::path::{Path, PathBuf};

/// Which MQTT is spoken. PP-8.1a.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MqttVersion {
    /// 3.1.1
    #[default]
    V3,
    /// 5
    V5,
}

/// When the sender of a private message gets its receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledge {
    /// Once [`super::ProofPeer::next`] gave the message to the application.
    #[default]
    WhenTaken,
    /// Once the application says so by [`super::Handle::acknowledge`]: it has stored the message.
    Explicitly,
}

/// How a peer is started.
#[derive(Debug)]
pub struct Config {
    /// The name of the application: who has another one is not met.
    pub app: String,
    /// Who we are.
    pub identity: Identity,
    /// Everything goes by all of them.
    pub brokers: Vec<BrokerUrl>,
    /// Which MQTT is spoken.
    pub mqtt: MqttVersion,
    /// PEM file with the certificate authorities to believe, in place of those that browsers believe.
    pub ca: Option<PathBuf>,
    /// When the sender of a private message gets its receipt.
    pub acknowledge: Acknowledge,
    /// Whether what is dropped is an event each; it is counted anyway.
    pub show_dropped: bool,
    /// Numbers of the protocol.
    pub settings: Settings,
}

impl Config {
    /// With a key that is there.
    pub fn new(app: impl Into<String>, identity: Identity) -> Self {
        Self {
            app: app.into(),
            identity,
            brokers: Vec::new(),
            mqtt: MqttVersion::default(),
            ca: None,
            acknowledge: Acknowledge::default(),
            show_dropped: false,
            settings: Settings::default(),
        }
    }

    /// With the key in a file. If there is none yet, an Ed25519 key is made and kept there.
    ///
    /// # Errors
    /// [`Error::KeyFile`].
    pub fn with_key_file(app: impl Into<String>, file: &Path) -> Result<Self, Error> {
        Ok(Self::new(app, key_file::read_or_create_key(file, KeyType::Ed25519)?))
    }

    /// Goes by this broker too.
    ///
    /// # Errors
    /// [`Error::BrokerUrl`].
    pub fn broker(mut self, url: &str) -> Result<Self, Error> {
        self.brokers.push(url.parse()?);
        Ok(self)
    }
}

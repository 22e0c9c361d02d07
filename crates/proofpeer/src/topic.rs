//! Names of applications and channels, and the topics they lead to. Profile PP-3.2, PP-4.1a.

use crate::{Error, murmur::murmur3};
use std::fmt;

/// Longest name of an application or a channel, in bytes.
const MAX_NAME: usize = 255;

/// The name of an application; its hash is in front of every topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppId {
    name: String,
    hash: u32,
}

impl AppId {
    /// Takes a name as it is: no normalisation.
    ///
    /// # Errors
    /// [`Error::BadName`] unless it has 1 to 255 bytes.
    pub fn new(name: &str) -> Result<Self, Error> {
        Ok(Self { name: checked(name)?, hash: murmur3(name.as_bytes()) })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The topic of a channel.
    pub fn channel(&self, channel: u32) -> Topic {
        Topic { app: self.hash, kind: Kind::Channel(channel) }
    }

    /// The inbox of whoever has this uid.
    pub fn inbox(&self, uid: u32) -> Topic {
        Topic { app: self.hash, kind: Kind::Inbox(uid) }
    }
}

/// A name of a channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(String);

impl ChannelName {
    /// Takes a name as it is.
    ///
    /// # Errors
    /// [`Error::BadName`] unless it has 1 to 255 bytes.
    pub fn new(name: &str) -> Result<Self, Error> {
        checked(name).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its hash.
    pub fn hash(&self) -> u32 {
        murmur3(self.0.as_bytes())
    }
}

fn checked(name: &str) -> Result<String, Error> {
    if (1..=MAX_NAME).contains(&name.len()) { Ok(name.to_owned()) } else { Err(Error::BadName) }
}

/// Where messages are published: `/A/c/C` or `/A/u/U`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic {
    app: u32,
    kind: Kind,
}

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Broadcasts of the channel with this hash.
    Channel(u32),
    /// Messages to the peers with this uid.
    Inbox(u32),
}

impl Topic {
    /// What it is for.
    pub const fn kind(self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Channel(channel) => write!(f, "/{}/c/{channel}", self.app),
            Kind::Inbox(uid) => write!(f, "/{}/u/{uid}", self.app),
        }
    }
}

//! A node to work with: the folder's daemon if it runs, else one of this process for the time of the
//! command.

use crate::context::Context;
use crate::failure::Failure;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use waypost_api::{Client, ClientError, ClientEvents};
use waypost_core::{ContactId, ErrorKind, LetterId};
use waypost_node::home::HomeLock;
use waypost_node::method::{Entry, HistoryParams, LettersHistory};
use waypost_node::{Call, Config, Event, Events, Method, Node};

/// How long to wait for another command that holds the folder.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a node of this process may do on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// Nothing: the command is about what is on disk.
    Off,
    /// Call others, for letters of this command.
    Dial,
    /// All that a daemon does.
    Full,
}

/// A node to call.
pub(crate) enum Session {
    /// The one of `waypost up`.
    Daemon(Client),
    /// One of this process.
    Own(Node),
}

/// The events of a session.
pub(crate) enum SessionEvents {
    Daemon(ClientEvents),
    Own(Events),
}

/// What to do with a folder: talk to its daemon, or work on it.
pub(crate) enum Holder {
    Daemon(Client),
    Us(HomeLock),
}

impl Session {
    /// Opens the folder's node.
    pub(crate) async fn open(context: &Context, network: Network) -> Result<Self, Failure> {
        context.check_initialised()?;
        match Holder::find(context).await? {
            Holder::Daemon(client) => Ok(Self::Daemon(client)),
            Holder::Us(lock) => {
                let config = limit(context.config()?, network);
                let keys = context.secrets.unlock(&context.home)?;
                Ok(Self::Own(Node::start(&context.home, lock, keys, config).await?))
            }
        }
    }

    /// Whether the node goes on after this command.
    pub(crate) fn is_daemon(&self) -> bool {
        matches!(self, Self::Daemon(_))
    }

    /// Calls a method.
    pub(crate) async fn call<M: Method>(&self, params: M::Params) -> Result<M::Result, Failure> {
        match self {
            Self::Daemon(client) => Ok(client.call::<M>(&params).await?),
            Self::Own(node) => {
                let odd = |error: serde_json::Error| Failure::new(ErrorKind::Internal, error.to_string());
                let params = serde_json::to_value(params).map_err(odd)?;
                let result = node.call(Call::parse(M::NAME, params)?).await?;
                serde_json::from_value(result).map_err(odd)
            }
        }
    }

    /// What happens from now on.
    pub(crate) async fn events(&self) -> Result<SessionEvents, Failure> {
        Ok(match self {
            Self::Daemon(client) => SessionEvents::Daemon(client.events().await?),
            Self::Own(node) => SessionEvents::Own(node.events()),
        })
    }

    /// How an own letter looks now.
    pub(crate) async fn own_letter(&self, contact: ContactId, id: LetterId) -> Result<Option<Entry>, Failure> {
        let contact = waypost_node::method::ContactRef(contact.to_string());
        let params = HistoryParams { contact, before: None, limit: Some(500) };
        let page = self.call::<LettersHistory>(params).await?;
        Ok(page.entries.into_iter().find(|entry| entry.id == id))
    }

    /// Lets a node of this process stop after what it is doing is on disk.
    pub(crate) async fn close(self) {
        if let Self::Own(node) = self {
            node.stop();
            node.stopped().await;
        }
    }
}

impl SessionEvents {
    /// The next event; none when the node stopped.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        match self {
            Self::Daemon(events) => events.next().await,
            Self::Own(events) => events.next().await,
        }
    }
}

impl Holder {
    /// The daemon if it answers, else the folder's lock; waits a little for a command that ends or a
    /// daemon that starts.
    pub(crate) async fn find(context: &Context) -> Result<Self, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(client) = daemon(context).await? {
                return Ok(Self::Daemon(client));
            }
            match context.home.lock() {
                Ok(lock) => return Ok(Self::Us(lock)),
                Err(waypost_node::Error::Conflict(_)) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(25)).await;
                }
                Err(error) => return Err(Failure::from(error).or_hint("wait for it to end, or end it")),
            }
        }
    }
}

/// The folder's daemon, if one answers.
pub(crate) async fn daemon(context: &Context) -> Result<Option<Client>, Failure> {
    match Client::connect(&context.home.socket()).await {
        Ok(client) => Ok(Some(client)),
        Err(ClientError::Connect { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            let message = format!("no access to {}: {source}", context.home.socket().display());
            Err(Failure::new(ErrorKind::Environment, message).or_hint("run this as the user that runs `waypost up`"))
        }
        Err(ClientError::Connect { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes from the settings what a short command must not do, and keeps what the own card says.
fn limit(mut config: Config, network: Network) -> Config {
    if network == Network::Full {
        return config;
    }
    config.sremp.advertise = config.sremp.reachable(&config.sremp.listen);
    config.sremp.listen.clear();
    config.sremp.enabled &= network != Network::Off;
    config.api.http = None;
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_command_listens_nowhere_and_keeps_the_addresses_of_the_card() {
        let mut config = Config::default();
        config.sremp.listen = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:7301".parse().unwrap()];
        let dial = limit(config.clone(), Network::Dial);
        assert!(dial.sremp.enabled && dial.sremp.listen.is_empty());
        assert_eq!(dial.sremp.advertise, vec!["[::1]:7301".parse().unwrap()]);
        assert!(!limit(config.clone(), Network::Off).sremp.enabled);
        assert_eq!(limit(config.clone(), Network::Full), config);
    }
}

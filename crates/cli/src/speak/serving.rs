//! What the listening roles share: settings, a folder, and how long they run.

use super::{BadInput, lines};
use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use toml_edit::{DocumentMut, Item, Table, Value, value};
use waypost_server::{Config, Data, Extras, Role, RoleFacts, Server};

/// Where settings and storage are.
#[derive(Debug, Args)]
pub(super) struct ServingArgs {
    /// Settings as of `waypost serve --print-config`; what listens where is not taken from it
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// One setting of the role, like rate_store=600; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Folder to keep everything in [default: a new one, removed at the end]
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// The host name in the printed address [default: the address it listens on]
    #[arg(long, value_name = "HOST")]
    advertise: Option<String>,
}

/// The only command.
#[derive(Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
enum Command {
    /// End.
    Close {},
}

/// A folder that lasts as long as it should.
pub(super) struct Folder {
    path: PathBuf,
    _temporary: Option<TempDir>,
}

impl ServingArgs {
    /// The settings, `section` being the role's.
    pub(super) fn config(&self, section: &str) -> anyhow::Result<Config> {
        let text = match &self.policy {
            Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
            None => String::new(),
        };
        let mut settings: DocumentMut = text.parse().map_err(|_| BadInput("--policy is no settings file"))?;
        let role = settings.entry(section).or_insert(Item::Table(Table::new()));
        let role = role.as_table_like_mut().ok_or(BadInput("--policy is no settings file"))?;
        for setting in &self.set {
            let (name, text) = setting.split_once('=').ok_or(BadInput("--set takes NAME=VALUE"))?;
            let set = text.parse::<Value>().map_or_else(|_| value(text), Item::Value);
            role.insert(name, set);
        }
        let mut config = Config::parse(&settings.to_string())?;
        config.advertise = self.advertise.clone().unwrap_or_default();
        config.metrics.listen = None;
        Ok(config)
    }

    /// Where everything is kept.
    pub(super) fn folder(&self) -> anyhow::Result<Folder> {
        let temporary = if self.store.is_none() { Some(tempfile::tempdir()?) } else { None };
        let path = match (&self.store, &temporary) {
            (Some(path), _) => path.clone(),
            (None, Some(folder)) => folder.path().to_owned(),
            (None, None) => PathBuf::new(),
        };
        Ok(Folder { path, _temporary: temporary })
    }

    /// Whether what is there stays.
    pub(super) const fn keeps(&self) -> bool {
        self.store.is_some()
    }
}

impl Folder {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Starts one role, tells what `ready` says of it, and serves until `close` or the end of stdin.
pub(super) async fn serve(
    config: &Config,
    role: Role,
    folder: &Folder,
    extras: Extras,
    ready: impl FnOnce(lines::Event, &RoleFacts) -> lines::Event,
) -> anyhow::Result<bool> {
    let server = Server::start_with(config, &[role].into(), &Data::open(folder.path())?, extras).await?;
    let facts = match role {
        Role::Relay => &server.facts().relay,
        Role::Rendezvous => &server.facts().rendezvous,
    };
    if let Some(facts) = facts {
        let bound = facts.listening.first().map(ToString::to_string);
        let event = lines::Event::new("ready").with_some("bound", bound).with("address", facts.address.as_str());
        ready(event, facts).print()?;
    }
    let mut commands = lines::commands::<Command>();
    let mut well = true;
    while let Some(command) = commands.recv().await {
        match command {
            Ok(Command::Close {}) => break,
            Err(why) => {
                well = false;
                lines::Event::new("bad_command").with("why", why).print()?;
            }
        }
    }
    server.stop().await?;
    Ok(well)
}

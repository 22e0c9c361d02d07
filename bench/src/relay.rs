//! The relay beside mosquitto and Prosody, and the rendezvous server.

mod idle;
mod link;
mod load;
mod million;
mod mqtt;
mod ours;
mod rendezvous;
mod waypost;
mod xmpp;

use crate::{
    binary,
    machine::Machine,
    progress,
    report::{Report, Row},
};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use link::RelayAt;
use load::Load;
use mqtt::{Mosquitto, Saving};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use waypost::Waypost;
use xmpp::Prosody;

/// Options of `relay`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these parts; all without
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// How many letters a measurement stores or delivers, at most
    #[arg(long, default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    letters: u32,
    /// How many connections rest
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=20_000))]
    connections: u32,
    /// How many letters are kept when the relay starts again, in thousands
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    kept: u32,
    /// Where the databases lie; a folder on a real disk [default: beside this program]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The program to start [default: built from this workspace, for release]
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Stores,
    Deliveries,
    Idle,
    Kept,
    Rendezvous,
}

/// A measurement ends then at the latest.
const MOST: Duration = Duration::from_secs(4);
const CONNECTIONS: [usize; 3] = [1, 8, 64];
const SIZES: [usize; 2] = [256, 4096];

/// What an acknowledgement says.
const GUARANTEES: [&str; 4] = [
    "waypost: STORE_RESPONSE comes after fsync, what was acknowledged survives a loss of power",
    "mosquitto: PUBACK comes when the letter is in memory; it is on disk after the next save, every 30 minutes as it comes",
    "mosquitto saving at every change: the whole database is written anew and synced after each turn of its loop, still \
     after PUBACK; it cannot be told to wait",
    "Prosody: stream management acknowledges when the letter is written to a file, without fsync: it survives the end of \
     the process, not a loss of power",
];

/// Runs the parts one after the other.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let parts = if options.only.is_empty() { Part::value_variants() } else { &options.only };
    let beside = std::env::current_exe()?.parent().context("this program is in no folder")?.to_owned();
    let around = options.folder.clone().unwrap_or(beside);
    let folder = tempfile::Builder::new().prefix("waypost-bench-").tempdir_in(&around)?;
    let binary = binary::given_or_built(options.binary.as_deref())?;
    // One thread: the clients shall leave the rest of the machine to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut notes: Vec<String> = [waypost::POLICY].iter().chain(&GUARANTEES).map(|&note| note.to_owned()).collect();
    let bench = Bench { binary: &binary, folder: folder.path(), peers: Peers::look(&mut notes) };
    let mut rows = Vec::new();
    for part in Part::value_variants().iter().filter(|part| parts.contains(part)) {
        rows.extend(runtime.block_on(async {
            match part {
                Part::Stores => bench.stores(options.letters as usize).await,
                Part::Deliveries => bench.deliveries(options.letters as usize).await,
                Part::Idle => idle::rows(&binary, folder.path(), options.connections as usize).await,
                Part::Kept => million::rows(&binary, folder.path(), options.kept as usize * 1000).await,
                Part::Rendezvous => rendezvous::rows(&binary, folder.path()).await,
            }
        })?);
    }
    Ok(Report { benchmark: "relay", machine: Machine::look(folder.path()), rows, notes })
}

/// What letters are measured with.
struct Bench<'a> {
    binary: &'a Path,
    folder: &'a Path,
    peers: Peers,
}

/// Which peers are on this machine, by their versions.
struct Peers {
    mosquitto: Option<String>,
    prosody: Option<String>,
}

impl Bench<'_> {
    async fn stores(&self, letters: usize) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for load in loads(letters) {
            let group = if load.bytes > 256 { "letters stored, 4 KiB" } else { "letters stored, 256 B" };
            progress(&format!("{group}, {} connections", load.connections));
            let folder = tempfile::tempdir_in(self.folder)?;
            let running = Waypost::new(self.binary, folder.path().join("waypost")).start("relay")?;
            let (address, relay) = running.relay()?;
            let ours = ours::stores(RelayAt { address, identity: relay.identity }, load).await?;
            drop(running);
            let mut peers = Vec::new();
            if let Some(version) = &self.peers.mosquitto {
                let broker = Mosquitto::start(&folder.path().join("mosquitto"), Saving::Default).await?;
                peers.push((version.clone(), broker.stores(load).await?));
                let broker = Mosquitto::start(&folder.path().join("saving"), Saving::EveryChange).await?;
                peers.push(("the same, saving at every change".into(), broker.stores(load).await?));
            }
            if let Some(version) = &self.peers.prosody {
                let server = Prosody::start(&folder.path().join("prosody"), load.connections).await?;
                peers.push((version.clone(), server.stores(load).await?));
            }
            rows.extend(rows_of(group, load, ours, peers));
        }
        Ok(rows)
    }

    async fn deliveries(&self, letters: usize) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for load in loads(letters) {
            let group = if load.bytes > 256 { "letters delivered, 4 KiB" } else { "letters delivered, 256 B" };
            progress(&format!("{group}, {} connections", load.connections));
            let folder = tempfile::tempdir_in(self.folder)?;
            let running = Waypost::new(self.binary, folder.path().join("waypost")).start("relay")?;
            let (address, relay) = running.relay()?;
            let ours = ours::deliveries(RelayAt { address, identity: relay.identity }, load).await?;
            drop(running);
            let mut peers = Vec::new();
            if let Some(version) = &self.peers.mosquitto {
                let broker = Mosquitto::start(&folder.path().join("mosquitto"), Saving::Default).await?;
                peers.push((version.clone(), broker.deliveries(load).await?));
                let broker = Mosquitto::start(&folder.path().join("saving"), Saving::EveryChange).await?;
                peers.push(("the same, saving at every change".into(), broker.deliveries(load).await?));
            }
            rows.extend(rows_of(group, load, ours, peers));
        }
        Ok(rows)
    }
}

impl Peers {
    fn look(notes: &mut Vec<String>) -> Self {
        let mut version = |program: &str, arguments: &[&str], begin: &str| {
            let asked = Command::new(program).args(arguments).stderr(Stdio::null()).output();
            let found = asked.ok().and_then(|output| {
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                let is_it =
                    |line: &&str| line.strip_prefix(begin).is_some_and(|rest| rest.starts_with(char::is_numeric));
                Some(said.lines().find(is_it)?.replace(" version", ""))
            });
            if found.is_none() {
                notes.push(format!("{program} is not on this machine: its figures are missing"));
            }
            found
        };
        let mosquitto = version("mosquitto", &["-h"], "mosquitto version ");
        let prosody = version("prosodyctl", &["about"], "Prosody ");
        Self { mosquitto, prosody }
    }
}

fn loads(letters: usize) -> impl Iterator<Item = Load> {
    SIZES.into_iter().flat_map(move |bytes| {
        CONNECTIONS.into_iter().map(move |connections| Load { connections, bytes, letters, most: MOST })
    })
}

/// A row for each peer, or one without.
fn rows_of(group: &'static str, load: Load, ours: f64, peers: Vec<(String, f64)>) -> Vec<Row> {
    let what = match load.connections {
        1 => "1 connection".to_owned(),
        many => format!("{many} connections"),
    };
    let row = || Row::alone(group, what.clone(), "/s", ours);
    if peers.is_empty() {
        return vec![row()];
    }
    peers.into_iter().map(|(name, figure)| row().beside(name, figure)).collect()
}

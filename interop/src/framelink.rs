//! The Python peer of `interop/framelink`, and what it and `waypost speak framelink` are to each other.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::python::PythonProgram;
use crate::speak::Speak;
use crate::{Event, Peer, Transcript};

/// A key, and another one.
pub const PSKS: [&str; 2] = [
    "FRAMELINK-PSK-1-AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPWWNK4KF2VO47I",
    "FRAMELINK-PSK-1-EAQSEIZEEUTCOKBJFIVSYLJOF4YDCMRTGQ2TMNZYHE5DWPB5HY745YZKOUSOK4LX",
];

/// Two sides that are to be started, of which one is ours. `both`, `ours` and `theirs` are options, which have the same
/// names on both sides.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Whether our side listens.
    pub we_listen: bool,
    /// `raw`, `psk`, `hybrid`.
    pub mode: &'a str,
    /// Options of both.
    pub both: &'a [&'a str],
    /// Options of ours.
    pub ours: &'a [&'a str],
    /// Options of the Python peer.
    pub theirs: &'a [&'a str],
}

/// `waypost speak framelink` and the Python peer.
#[derive(Debug)]
pub struct Pair {
    /// Our side.
    pub ours: Peer,
    /// The Python peer.
    pub theirs: Peer,
    /// What both said.
    pub transcript: Transcript,
    _folder: TempDir,
}

impl Pair {
    /// Starts both.
    ///
    /// # Errors
    /// If one of them does not start.
    pub fn start(python: &PythonProgram, speak: &Speak, setup: Setup<'_>) -> Result<Self> {
        let secrets = Secrets::new()?;
        let [block, psk, _] = secrets.paths();
        let raw = setup.mode == "raw";
        let secret = if raw { ["--block-file", &block] } else { ["--psk-file", &psk] };
        let common = [&["--mode", setup.mode][..], &secret, setup.both].concat();
        let ledger = if raw { &["--no-ledger"][..] } else { &[] };
        let ours = [&common, ledger, setup.ours].concat();
        let theirs = [&common[..], setup.theirs].concat();
        Self::start_with(python, speak, secrets, setup.we_listen, &ours, &theirs)
    }

    /// Starts both with the whole of their options.
    ///
    /// # Errors
    /// If one of them does not start.
    pub fn start_with(
        python: &PythonProgram,
        speak: &Speak,
        secrets: Secrets,
        we_listen: bool,
        ours: &[&str],
        theirs: &[&str],
    ) -> Result<Self> {
        let transcript = Transcript::new();
        let spawn_ours = |place: [&str; 2]| {
            let mut peer = Peer::spawn("ours", speak.framelink(&[&place, ours].concat()), &transcript)?;
            let ready = peer.expect("ready")?;
            Ok::<_, anyhow::Error>((peer, ready))
        };
        let spawn_theirs = |place: [&str; 2]| {
            let mut peer =
                Peer::spawn("python", python.command(&[&["-m", "peer"], &place[..], theirs].concat()), &transcript)?;
            let ready = peer.expect("ready")?;
            Ok::<_, anyhow::Error>((peer, ready))
        };
        let (ours, theirs) = if we_listen {
            let (ours, ready) = spawn_ours(["listen", "127.0.0.1:0"])?;
            (ours, spawn_theirs(["--connect", ready.text("bound")?])?.0)
        } else {
            let (theirs, ready) = spawn_theirs(["--listen", "127.0.0.1:0"])?;
            let at = format!("127.0.0.1:{}", ready.id("port")?);
            (spawn_ours(["connect", &at])?.0, theirs)
        };
        Ok(Self { ours, theirs, transcript, _folder: secrets.folder })
    }

    /// Waits until both have established the link; what each says of the other's limits.
    ///
    /// # Errors
    /// If they do not.
    pub fn opened(&mut self) -> Result<[Event; 2]> {
        Ok([self.ours.expect("open")?, self.theirs.expect("open")?])
    }

    /// Messages of these patterns both ways at once, every byte of which arrives.
    ///
    /// # Errors
    /// If one is lost or changed.
    pub fn transfer(&mut self, sizes: &[usize]) -> Result<()> {
        for (seed, size) in sizes.iter().enumerate() {
            for side in [&mut self.ours, &mut self.theirs] {
                side.send(&json!({"cmd": "send_pattern", "bytes": size, "seed": seed}))?;
            }
        }
        let (total, hash) = patterns(sizes);
        self.theirs.send(&json!({"cmd": "report_at", "bytes": total}))?;
        self.ours_received(total, &hash)?;
        self.theirs_received(total, &hash)
    }

    /// Our side has these bytes in all.
    ///
    /// # Errors
    /// If it has others, or they do not come.
    pub fn ours_received(&mut self, total: u64, hash: &str) -> Result<()> {
        let mut got = 0;
        while got < total {
            got += self.ours.expect("frame")?.id("len")?;
        }
        let received = self.status()?.field("received").clone();
        let same = received.get("bytes").is_some_and(|bytes| *bytes == total)
            && received.get("sha256").is_some_and(|sha256| sha256 == hash);
        ensure!(same, "{received}\n{}", self.transcript);
        Ok(())
    }

    /// The Python peer has these bytes in all; `report_at` must have asked for that, or its end.
    ///
    /// # Errors
    /// If it has others, or they do not come.
    pub fn theirs_received(&mut self, total: u64, hash: &str) -> Result<()> {
        let received = self.theirs.expect("received_total")?;
        let same = received.id("bytes")? == total && received.text("sha256")? == hash;
        ensure!(same, "{received}, not {total} bytes\n{}", self.transcript);
        Ok(())
    }

    /// Our side's `status`.
    ///
    /// # Errors
    /// If it gives none.
    pub fn status(&mut self) -> Result<Event> {
        self.ours.send(&json!({"cmd": "status"}))?;
        self.ours.expect("status")
    }

    /// An event of one side, of which these fields must be so.
    ///
    /// # Errors
    /// If it does not come, or they are not.
    pub fn expect(&mut self, ours: bool, event: &str, fields: &Value) -> Result<Event> {
        let side = if ours { &mut self.ours } else { &mut self.theirs };
        let got = side.expect(event)?;
        for (name, value) in fields.as_object().context("fields are an object")? {
            ensure!(got.field(name) == value, "{got} has not {name} {value}\n{}", self.transcript);
        }
        Ok(got)
    }

    /// Our side ended so; where it listens it goes on until this closes its stdin.
    ///
    /// # Errors
    /// If it did not.
    pub fn ours_ended(&mut self, fields: &Value) -> Result<Event> {
        self.expect(true, "ended", fields)
    }

    /// Both sides are done, our own listener or connection in any way, the Python peer with this exit code.
    ///
    /// # Errors
    /// If one does not end, or Python ends otherwise.
    pub fn finish(self, code: i32) -> Result<()> {
        let Self { ours, theirs, transcript, .. } = self;
        let status = theirs.finish()?;
        ensure!(status.code() == Some(code), "python ended with {status}, not {code}\n{transcript}");
        ours.finish()?;
        Ok(())
    }

    /// Who connected closes; then the other one does.
    ///
    /// # Errors
    /// If they do not part in good order.
    pub fn part(mut self) -> Result<()> {
        self.ours.send(&json!({"cmd": "close"}))?;
        self.theirs.expect("closed")?;
        self.theirs.send(&json!({"cmd": "close"}))?;
        self.expect(true, "peer_closed", &json!({}))?;
        self.ours_ended(&json!({"status": "Closed"}))?;
        self.theirs.expect("done")?;
        let transcript = self.transcript.clone();
        ensure!(self.theirs.finish()?.code() == Some(0), "python does not end well\n{transcript}");
        self.ours.finish_well()
    }
}

/// A folder with a block and two keys.
#[derive(Debug)]
pub struct Secrets {
    folder: TempDir,
}

impl Secrets {
    /// Makes the files.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn new() -> Result<Self> {
        let secrets = Self { folder: tempfile::tempdir()? };
        let [block, psk, other] = secrets.paths();
        // The counters begin close to what 64 bits hold: carries are part of every raw transfer.
        let mut bytes: Vec<u8> = (0..=255).collect();
        for half in bytes.chunks_mut(128) {
            half.get_mut(40..47).context("a half is longer")?.fill(0xff);
        }
        fs::write(&block, bytes)?;
        fs::write(&psk, PSKS[0])?;
        fs::write(&other, PSKS[1])?;
        for file in secrets.paths() {
            fs::set_permissions(file, PermissionsExt::from_mode(0o600))?;
        }
        Ok(secrets)
    }

    /// The block, the key, and another key.
    #[must_use]
    pub fn paths(&self) -> [String; 3] {
        ["block", "psk", "other"].map(|name| self.folder.path().join(name).to_string_lossy().into_owned())
    }
}

/// Length and hash of messages of these sizes, the seed of each being its place.
#[must_use]
pub fn patterns(sizes: &[usize]) -> (u64, String) {
    let (mut total, mut hash) = (0, Sha256::new());
    for (seed, size) in sizes.iter().enumerate() {
        let bytes: Vec<u8> = std::iter::successors(Some(seed.to_le_bytes()[0]), |byte| Some(byte.wrapping_add(31)))
            .take(*size)
            .collect();
        total += bytes.len() as u64;
        hash.update(&bytes);
    }
    (total, hex::encode(hash.finalize()))
}

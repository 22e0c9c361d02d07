//! `waypost link`: real processes, real sockets.

mod file;
mod file_peer;
mod keys;
mod pipe;
mod proxy;
mod refusals;
mod secrets;
mod tunnel;

use crate::people::{DEADLINE, program};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Somebody's machine: a home of its own, and a key that both sides have.
pub(crate) struct Host {
    folder: TempDir,
}

/// A `waypost link` that runs, and what it tells.
pub(crate) struct Linking {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    told: Lines<BufReader<ChildStderr>>,
    /// All it told so far.
    pub(crate) said: Vec<String>,
}

/// How one ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) said: String,
    pub(crate) stdout: Vec<u8>,
}

impl Host {
    /// With a key in `key` and a block in `block`.
    pub(crate) async fn new() -> Self {
        let host = Self { folder: tempfile::tempdir().unwrap() };
        for (command, file) in [("keygen", "key"), ("genblock", "block")] {
            assert_eq!(host.run(&[command, &host.path(file)]).await.code, 0);
        }
        host
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program(None);
        command.arg("link").args(args).current_dir(self.folder.path()).env("HOME", self.folder.path());
        for variable in ["XDG_STATE_HOME", "XDG_DATA_HOME", "WAYPOST_HOME", "WAYPOST_LOG"] {
            command.env_remove(variable);
        }
        command.env("NO_COLOR", "1").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it; events come as JSON.
    pub(crate) fn start(&self, args: &[&str]) -> Linking {
        let mut command = self.command(args);
        command.arg("--json");
        Linking::start(command)
    }

    /// `listen` with the key, and where.
    pub(crate) async fn listen(&self, more: &[&str]) -> (Linking, SocketAddr) {
        self.listening(&[&["listen", "127.0.0.1:0", "--psk-file", "key"], more].concat()).await
    }

    /// Anything that listens, and where.
    pub(crate) async fn listening(&self, args: &[&str]) -> (Linking, SocketAddr) {
        let mut linking = self.start(args);
        let address = linking.address().await;
        (linking, address)
    }

    /// `connect` with the key.
    pub(crate) fn connect(&self, to: SocketAddr, more: &[&str]) -> Linking {
        self.start(&[&["connect", &to.to_string(), "--psk-file", "key"], more].concat())
    }

    /// Runs it without input, to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        self.start(args).end().await
    }
}

impl Linking {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let told = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { stdin: child.stdin.take(), stdout: child.stdout.take(), told, said: Vec::new(), child }
    }

    /// Waits for an event.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        loop {
            let line = timeout(DEADLINE, self.told.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("no {name} comes: {:?}", self.said)).unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended without {name}: {:?}", self.said));
            self.said.push(line.clone());
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Where it listens.
    pub(crate) async fn address(&mut self) -> SocketAddr {
        self.event("listening").await["address"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes).await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// Ends its input.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Reads no more of its output.
    pub(crate) fn close_output(&mut self) {
        self.stdout = None;
    }

    pub(crate) fn input(&mut self) -> ChildStdin {
        self.stdin.take().unwrap()
    }

    pub(crate) fn output(&mut self) -> ChildStdout {
        self.stdout.take().unwrap()
    }

    /// So many bytes of its output.
    pub(crate) async fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let read = self.stdout.as_mut().unwrap().read_exact(&mut bytes);
        timeout(DEADLINE, read).await.expect("no output comes").unwrap();
        bytes
    }

    /// Its output up to its end.
    pub(crate) async fn read_all(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = self.stdout.as_mut().unwrap().read_to_end(&mut bytes);
        timeout(DEADLINE, read).await.expect("the output does not end").unwrap();
        bytes
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub(crate) async fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.pid().to_string()]).status();
        assert!(status.await.unwrap().success());
    }

    /// Ends its input and waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        self.close();
        let stdout = if self.stdout.is_some() { self.read_all().await } else { Vec::new() };
        let rest = async {
            while let Some(line) = self.told.next_line().await.unwrap() {
                self.said.push(line);
            }
            self.child.wait().await.unwrap()
        };
        let status = timeout(DEADLINE, rest).await.expect("it does not end");
        Ended { code: status.code().unwrap_or(-1), said: self.said.join("\n"), stdout }
    }
}

impl Ended {
    /// That it ended so, and said so.
    pub(crate) fn assert(&self, code: i32, words: &str) {
        assert!(self.code == code && self.said.contains(words), "not {code} with {words:?}: {self:?}");
    }
}

/// Bytes that repeat nowhere near.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    use rand::{RngExt, SeedableRng};
    let mut bytes = vec![0; length];
    rand::rngs::StdRng::seed_from_u64(seed).fill(bytes.as_mut_slice());
    bytes
}

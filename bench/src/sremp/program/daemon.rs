//! One `waypost up`, as its own process.

use super::until;
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::interval,
};

/// Between two looks at the memory.
const LOOK: Duration = Duration::from_millis(100);
/// Looks before which a node is not at rest.
const LOOKS: usize = 20;
/// So many looks without a change, and the memory is steady.
const STEADY: usize = 10;
const MOST_LOOKS: usize = 100;

/// The running program; ends with this value.
pub(super) struct Daemon {
    child: Child,
    pid: u32,
    socket: PathBuf,
    started: Instant,
}

impl Daemon {
    /// Makes an identity without a passphrase that listens on loopback.
    pub(super) async fn init(binary: &Path, home: &Path) -> Result<()> {
        let mut init = program(binary, home);
        init.args(["init", "--name", "bench", "--no-passphrase", "--listen", "127.0.0.1:0"]);
        let output = init.output().await.with_context(|| format!("cannot run {}", binary.display()))?;
        ensure!(output.status.success(), "init failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Starts it; gives the time until it said that it is ready.
    pub(super) async fn start(binary: &Path, home: &Path) -> Result<(Self, Duration)> {
        let mut up = program(binary, home);
        up.args(["up", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let started = Instant::now();
        let mut child = up.spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.as_mut().context("no stdout")?;
        until(async { Ok(BufReader::new(stdout).read_line(&mut line).await?) }).await?;
        let ready = started.elapsed();
        let said: serde_json::Value = serde_json::from_str(&line).context("the program did not become ready")?;
        ensure!(said.get("event").is_some_and(|event| event == "ready"), "the program said {line}");
        let pid = child.id().context("the program has ended")?;
        Ok((Self { child, pid, socket: home.join("api.sock"), started }, ready))
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// Of all its threads, until now.
    pub(super) fn processor_time(&self) -> Option<Duration> {
        let mut nanos = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid)).ok()? {
            let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            nanos += text.split(' ').next()?.parse::<u64>().ok()?;
        }
        Some(Duration::from_nanos(nanos))
    }

    /// Resident memory once it no longer changes, and the most it ever was; in MiB.
    pub(super) async fn memory_when_steady(&self) -> Result<(f64, f64)> {
        let (mut looks, mut seen) = (interval(LOOK), Vec::new());
        while seen.len() < MOST_LOOKS {
            looks.tick().await;
            let (now, peak) = self.memory()?;
            seen.push(now);
            let last = seen.iter().rev().take(STEADY);
            #[expect(clippy::float_cmp, reason = "counts of pages")]
            if seen.len() >= LOOKS && last.into_iter().all(|&before| before == now) {
                return Ok((now, peak));
            }
        }
        bail!("the memory does not become steady")
    }

    fn memory(&self) -> Result<(f64, f64)> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let mib = |name: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
            let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
            Ok(kib / 1024.0)
        };
        Ok((mib("VmRSS:")?, mib("VmHWM:")?))
    }

    /// Waits for its end.
    pub(super) async fn ended(mut self) -> Result<()> {
        let status = self.child.wait().await?;
        ensure!(status.success(), "the program ended with {status}");
        Ok(())
    }
}

/// Nothing of the caller's settings.
fn program(binary: &Path, home: &Path) -> Command {
    let mut program = Command::new(binary);
    for variable in ["WAYPOST_HOME", "WAYPOST_PASSPHRASE", "WAYPOST_LOG"] {
        program.env_remove(variable);
    }
    program.arg("--home").arg(home).stdin(Stdio::null());
    program
}

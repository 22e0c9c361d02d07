//! A server under test, as its own process.

use anyhow::{Context, Result, bail};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::interval};

/// How long a server may take to start.
const START: Duration = Duration::from_secs(30);
/// Between two looks whether it is there.
const LOOK: Duration = Duration::from_millis(10);

/// A process that ends with this value.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts it; what it says is in `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let said = File::create(log)?;
        command.stdin(Stdio::null()).stderr(said);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child })
    }

    /// Its first line.
    pub(crate) fn first_line(&mut self) -> Result<String> {
        let mut line = String::new();
        let stdout = self.child.stdout.take().context("no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(line)
    }

    /// Returns when it listens.
    pub(crate) async fn listens(&mut self, address: SocketAddr) -> Result<()> {
        let until = Instant::now() + START;
        let mut looks = interval(LOOK);
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}");
            }
            if Instant::now() > until {
                bail!("the server does not listen");
            }
            looks.tick().await;
        }
        Ok(())
    }

    /// Resident memory in KiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Ends it as a crash would: by SIGKILL, with nothing put in order.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address on loopback that nobody uses at this moment.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::{Event, Transcript};

/// How long an event may take. Generous: a slow machine under load is no failure, a missing event is.
const PATIENCE: Duration = Duration::from_secs(30);

/// Events that wait for the test. A child that gives more of them waits too.
const QUEUE: usize = 4096;

/// A child process that speaks JSON lines. It is killed when dropped.
#[derive(Debug)]
pub struct Peer {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    heard: Receiver<Event>,
    backlog: VecDeque<Event>,
    transcript: Transcript,
}

impl Peer {
    /// Starts `command`; `name` is how the transcript calls it.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn spawn(name: &str, mut command: Command, transcript: &Transcript) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} does not start: {command:?}"))?;
        let (sender, heard) = sync_channel(QUEUE);
        let stdin = child.stdin.take();
        if let Some(stdout) = child.stdout.take() {
            let (name, transcript) = (name.to_owned(), transcript.clone());
            thread::spawn(move || hear(&name, stdout, &sender, &transcript));
        }
        if let Some(stderr) = child.stderr.take() {
            let (name, transcript) = (name.to_owned(), transcript.clone());
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    transcript.add(&name, "|", &line);
                }
            });
        }
        Ok(Self {
            name: name.to_owned(),
            child,
            stdin,
            heard,
            backlog: VecDeque::new(),
            transcript: transcript.clone(),
        })
    }

    /// Gives a command.
    ///
    /// # Errors
    /// If the process no longer reads.
    pub fn send(&mut self, command: &Value) -> Result<()> {
        let line = command.to_string();
        self.transcript.add(&self.name, ">", &line);
        let written = match &mut self.stdin {
            Some(stdin) => writeln!(stdin, "{line}").and_then(|()| stdin.flush()),
            None => bail!("stdin of {} was closed before", self.name),
        };
        written.map_err(|error| self.failure(&format!("does not take {line}: {error}")))
    }

    /// The first event of that name that was not taken yet. Others before it are kept for later calls.
    ///
    /// # Errors
    /// With the whole transcript if the event does not come in time, if the process ends, or if an `error` comes that
    /// was not asked for (one with `"deviation": false` is kept like any other event).
    pub fn expect(&mut self, event: &str) -> Result<Event> {
        self.expect_that(event, |one| one.is(event))
    }

    /// The same for the first line of which `holds` is true; `what` is how a failure calls it.
    ///
    /// # Errors
    /// As [`Peer::expect`].
    pub fn expect_that(&mut self, what: &str, holds: impl Fn(&Event) -> bool) -> Result<Event> {
        if let Some(at) = self.backlog.iter().position(&holds) {
            return self.backlog.remove(at).ok_or_else(|| anyhow!("backlog"));
        }
        let end = Instant::now() + PATIENCE;
        loop {
            match self.heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(one) if holds(&one) => return Ok(one),
                Ok(one) if one.is("error") && one.field("deviation") != false => {
                    return Err(self.failure(&format!("reports an error instead of `{what}`: {one}")));
                }
                Ok(one) => self.backlog.push_back(one),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.failure(&format!("shows no `{what}` within {PATIENCE:?}")));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.failure(&format!("ended without `{what}`")));
                }
            }
        }
    }

    /// Writes a line that is no command.
    ///
    /// # Errors
    /// If the process no longer reads.
    pub fn line(&mut self, line: &str) -> Result<()> {
        self.transcript.add(&self.name, ">", line);
        let stdin = self.stdin.as_mut().context("stdin was closed before")?;
        Ok(writeln!(stdin, "{line}").and_then(|()| stdin.flush())?)
    }

    /// Closes stdin and waits for the end.
    ///
    /// # Errors
    /// If the process does not end in time.
    pub fn finish(mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            // Its stdout ends with it, so this waits for an event and not for a time.
            if matches!(self.heard.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected)) {
                return Ok(self.child.wait()?);
            }
        }
        Err(self.failure("does not end"))
    }

    /// As [`Peer::finish`], with success demanded.
    ///
    /// # Errors
    /// If the process does not end in time or ends with another exit code than 0.
    pub fn finish_well(self) -> Result<()> {
        let (name, transcript) = (self.name.clone(), self.transcript.clone());
        let status = self.finish()?;
        if !status.success() {
            bail!("{name} ended with {status}\n{transcript}");
        }
        Ok(())
    }

    fn failure(&self, what: &str) -> anyhow::Error {
        anyhow!("{} {what}\n{}", self.name, self.transcript)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hear(name: &str, stdout: impl Read, sender: &SyncSender<Event>, transcript: &Transcript) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        transcript.add(name, "<", &line);
        let event = serde_json::from_str(&line)
            .unwrap_or_else(|error| json!({"event": "error", "code": "no JSON on stdout", "why": error.to_string()}));
        if sender.send(Event::new(event)).is_err() {
            return;
        }
    }
}

//! The links of a speaker, by their numbers.

use super::command::{Command, Number};
use super::options::Options;
use super::report::Teller;
use super::talk::{Talk, Turns};
use crate::speak::lines;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use waypost_framelink::Mode;

/// Links at once; who comes then waits.
const MOST: usize = 64;
/// Commands that wait for a link; more are refused.
const WAITING: usize = 4096;

pub(super) struct Links {
    options: Options,
    numbered: bool,
    count: u64,
    /// Those that can be asked for something.
    links: BTreeMap<u64, (Arc<Talk>, Turns)>,
    tasks: JoinSet<(u64, io::Result<bool>)>,
    established: BTreeSet<u64>,
    /// The link that was established last.
    latest: Number,
    opened: mpsc::Receiver<u64>,
    opener: mpsc::Sender<u64>,
    waiting: VecDeque<Command>,
    /// Stdin has ended.
    closing: bool,
    commands_failed: bool,
    links_failed: bool,
}

impl Links {
    pub(super) fn new(options: Options, numbered: bool) -> Self {
        let (opener, opened) = mpsc::channel(MOST);
        Self {
            options,
            numbered,
            count: 0,
            links: BTreeMap::new(),
            tasks: JoinSet::new(),
            established: BTreeSet::new(),
            latest: None,
            opened,
            opener,
            waiting: VecDeque::new(),
            closing: false,
            commands_failed: false,
            links_failed: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.tasks.len() < MOST
    }

    pub(super) fn modes(&self) -> &[Mode] {
        self.options.modes()
    }

    /// Whether everything was done. What ends a link of a listener is not its failure.
    pub(super) fn went_well(&self, listens: bool) -> bool {
        !self.commands_failed && self.waiting.is_empty() && (listens || !self.links_failed)
    }

    /// One link more.
    pub(super) fn take(&mut self, stream: TcpStream) -> anyhow::Result<()> {
        self.count += 1;
        let number = self.count;
        let teller = Teller(self.numbered.then_some(number));
        let remote = stream.peer_addr().ok().map(|remote| remote.to_string());
        teller.event("connected").with_some("remote", remote).print()?;
        let link = self.options.link(stream)?;
        let talk = Arc::new(Talk::new(teller, link, self.options.role(), self.options.manual));
        let (turns, waiting) = Turns::new();
        self.links.insert(number, (Arc::clone(&talk), turns));
        let opener = self.opener.clone();
        self.tasks.spawn(async move {
            // There is room for every link there can be.
            let opened = move || {
                let _ = opener.try_send(number);
            };
            (number, talk.run(waiting, opened).await)
        });
        Ok(())
    }

    /// Waits until something becomes of a link.
    pub(super) async fn next(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            biased;
            Some(number) = self.opened.recv() => {
                self.latest = Some(number);
                self.established.insert(number);
                while let Some(command) = self.waiting.pop_front() {
                    self.carry_out(command)?;
                }
                if self.closing {
                    self.close(number);
                }
            }
            Some(ended) = self.tasks.join_next() => {
                let (number, well) = ended?;
                self.links_failed |= !well?;
                self.links.remove(&number);
                self.established.remove(&number);
            }
        }
        Ok(())
    }

    pub(super) fn command(&mut self, command: Result<Command, String>) -> anyhow::Result<()> {
        match command {
            Ok(command) if command.asks_too_much() => self.bad("that is too much at once".to_owned()),
            Ok(command) if command.link().or(self.latest).is_some() => self.carry_out(command),
            Ok(command) if self.waiting.len() < WAITING => {
                self.waiting.push_back(command);
                Ok(())
            }
            Ok(_) => self.bad("too many commands wait for a link".to_owned()),
            Err(why) => self.bad(why),
        }
    }

    /// Ends all links in good order; those that are not established yet, when they are.
    pub(super) fn close_all(&mut self) {
        self.closing = true;
        for number in std::mem::take(&mut self.established) {
            self.close(number);
        }
    }

    /// Nothing more can be asked of a link.
    fn close(&mut self, number: u64) {
        if let Some((_, turns)) = self.links.remove(&number) {
            turns.close();
        }
    }

    fn bad(&mut self, why: String) -> anyhow::Result<()> {
        self.commands_failed = true;
        Ok(lines::Event::new("bad_command").with("why", why).print()?)
    }

    fn carry_out(&mut self, command: Command) -> anyhow::Result<()> {
        let number = command.link().or(self.latest);
        match number.and_then(|number| self.links.get(&number)) {
            Some((talk, turns)) => talk.command(turns, command)?,
            None => Teller(number.filter(|_| self.numbered)).refused(command.name(), "no-link")?,
        }
        Ok(())
    }
}

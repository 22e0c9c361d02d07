//! The person's rendezvous servers on this wire: they tell contacts where this node is, and this node where
//! contacts are.

use super::Sremp;
use super::servers::{Known, State};
use super::ways::Candidate;
use crate::Error;
use crate::engine::sremp_error;
use crate::method::SuggestedServer;
use crate::servers::{Origin, Uri};
use crate::wire::{NetCommand, Path, Turn, WireEvent};
use crate::wires::sremp::SrempCommand;
use std::collections::BTreeMap;
use std::time::Duration;
use waypost_core::{ContactId, Mono, SaveId, SrempAddress, Wall};
use waypost_net::rendezvous::{ClientCommand, ClientEvent, ClientFault};
use waypost_sremp::LinkId;
use waypost_sremp::account::Input as AccountInput;
use waypost_sremp::endpoint::{Endpoint, Learned};
use waypost_sremp::rendezvous::ServerUri;
use waypost_sremp::rendezvous::client::{
    Answer, Client, ClientTiming, Event, Failure, Input, Output, Publication, Query, Suggestion,
};

/// How long a registration lasts without being renewed. Profile, Rendezvous: at most an hour.
const TTL_SECONDS: u32 = 3600;
/// How long an answer about a contact is good, and how long a contact is not asked for again.
const FRESH: Duration = Duration::from_secs(60);
/// Contacts about whom an answer is kept.
const MOST: usize = 1000;

/// All rendezvous servers in use.
#[derive(Default)]
pub(super) struct Rendezvous {
    servers: Vec<Server>,
    /// Where contacts said they are, and when that was asked.
    found: BTreeMap<ContactId, Asked>,
    tickets: BTreeMap<u64, About>,
    /// Servers that were found at the start and not added by the person, and since when they are used.
    bootstrap: (Vec<ServerUri>, Wall),
    /// What servers said of others, and who said it.
    suggestions: Vec<(ServerUri, Suggestion)>,
    /// Where this node says it is.
    own: Option<Endpoint>,
    last_ticket: u64,
    last_link: u64,
}

struct Server {
    uri: ServerUri,
    learned: Learned,
    client: Client,
    link: Option<LinkId>,
    last_save: Option<SaveId>,
    known: Known,
    leaving: bool,
}

struct Asked {
    at: Mono,
    candidate: Option<Candidate>,
}

/// What a question is for.
#[derive(Clone, Copy)]
enum About {
    Contact(ContactId),
    Probe(u64),
}

impl Rendezvous {
    pub(super) fn known(&self, uri: &ServerUri) -> Option<&Known> {
        self.servers.iter().find(|server| server.uri == *uri).map(|server| &server.known)
    }

    /// Where a contact said it is.
    pub(super) fn candidate(&self, now: Mono, peer: &ContactId) -> Option<Candidate> {
        self.found.get(peer).filter(|asked| now.since(asked.at) < FRESH)?.candidate.clone()
    }

    /// Servers in use that the person did not add.
    pub(super) fn found(&self) -> Vec<crate::servers::Server> {
        let (found, added) = &self.bootstrap;
        let servers = found.iter().map(|uri| crate::servers::Server {
            uri: Uri::Rendezvous(uri.clone()),
            origin: Origin::Dns,
            added: *added,
            accepted: false,
        });
        servers.collect()
    }

    pub(super) fn suggestions(&self) -> Vec<SuggestedServer> {
        let all = self.suggestions.iter().map(|(by, suggestion)| SuggestedServer {
            server: suggestion.server.to_string(),
            name: suggestion.name.clone(),
            named_by: by.to_string(),
        });
        all.collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.servers.iter().filter_map(|server| server.client.poll_timeout()).min()
    }

    /// Whether no server shows this node any more, as far as this node can see to it.
    pub(super) fn has_left(&self) -> bool {
        !self.servers.iter().any(|server| server.leaving)
    }

    fn ticket(&mut self, about: About) -> u64 {
        self.last_ticket += 1;
        self.tickets.insert(self.last_ticket, about);
        self.last_ticket
    }
}

impl Sremp {
    /// Servers were found at the start, beside those of the person.
    pub(super) fn bootstrapped(&mut self, turn: &mut Turn<'_>, found: Vec<ServerUri>) -> Result<(), Error> {
        self.rendezvous.bootstrap = (found, turn.now.wall);
        let servers = crate::servers::load(turn.store)?;
        self.use_servers(turn, &servers)
    }

    /// Uses these servers from now on, and those that were found.
    pub(super) fn use_rendezvous(&mut self, turn: &mut Turn<'_>, own: &[ServerUri]) -> Result<(), Error> {
        let is_own = |uri: &ServerUri| own.iter().any(|known| known.endpoint == uri.endpoint);
        let found = self.rendezvous.bootstrap.0.extract_if(.., |uri| !is_own(uri)).collect::<Vec<_>>();
        let uris: Vec<ServerUri> = own.iter().chain(&found).cloned().collect();
        self.rendezvous.bootstrap.0 = found;
        let mut kept = Vec::new();
        for server in std::mem::take(&mut self.rendezvous.servers) {
            match uris.contains(&server.uri) {
                true => kept.push(server),
                // The registration runs out by itself within the hour.
                false => self.close_rendezvous(server.link),
            }
        }
        self.rendezvous.servers = kept;
        for uri in &uris {
            if self.rendezvous.known(uri).is_none() {
                let learned = if own.contains(uri) { Learned::FromUser } else { Learned::FromOthers };
                let client = Client::new(ClientTiming::default());
                let known = Known { state: State::Connecting, since: turn.now.wall };
                let server =
                    Server { uri: uri.clone(), learned, client, link: None, last_save: None, known, leaving: false };
                self.rendezvous.servers.push(server);
                let last = self.rendezvous.servers.len() - 1;
                self.publish(turn, last)?;
            }
        }
        Ok(())
    }

    /// Where this node is reached has changed.
    pub(super) fn set_own_endpoint(&mut self, turn: &mut Turn<'_>, addresses: &[SrempAddress]) -> Result<(), Error> {
        let mut endpoints = addresses.iter().filter_map(|at| Endpoint::new(&at.host, at.port).ok());
        let own = endpoints.next();
        if self.rendezvous.own == own {
            return Ok(());
        }
        self.rendezvous.own = own;
        self.publish_everywhere(turn)
    }

    /// Says anew who and where this node is.
    pub(super) fn publish_everywhere(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        (0..self.rendezvous.servers.len()).try_for_each(|at| self.publish(turn, at))
    }

    fn publish(&mut self, turn: &mut Turn<'_>, at: usize) -> Result<(), Error> {
        // Who comes by a proxy says where it is only if the person said so.
        let is_hidden = turn.config.sremp.proxy.is_some() && turn.config.sremp.advertise.is_empty();
        let Some(endpoint) = self.rendezvous.own.clone().filter(|_| !is_hidden) else {
            // Nothing to publish; a first question shows whether the server is there.
            return self.ask_rendezvous(turn, at, Query::Servers, None);
        };
        let publication = Publication {
            identity: self.account.identity().clone(),
            signing: self.signing.clone(),
            endpoint,
            ttl_seconds: TTL_SECONDS,
        };
        self.rendezvous(turn, at, Input::Publish(Box::new(publication)))
    }

    /// Takes this node off all servers.
    pub(super) fn leave_rendezvous(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        for at in 0..self.rendezvous.servers.len() {
            if let Some(server) = self.rendezvous.servers.get_mut(at) {
                server.leaving = true;
            }
            self.rendezvous(turn, at, Input::Withdraw)?;
        }
        Ok(())
    }

    /// Asks all servers where a contact is, unless that was asked a moment ago.
    pub(super) fn look_up(&mut self, turn: &mut Turn<'_>, peer: ContactId) -> Result<(), Error> {
        let now = turn.now.mono;
        let is_fresh = self.rendezvous.found.get(&peer).is_some_and(|asked| now.since(asked.at) < FRESH);
        if is_fresh || self.rendezvous.servers.is_empty() {
            return Ok(());
        }
        if self.rendezvous.found.len() >= MOST {
            self.rendezvous.found.retain(|_, asked| now.since(asked.at) < FRESH);
        }
        self.rendezvous.found.insert(peer, Asked { at: now, candidate: None });
        let query = Query::Peer(peer);
        (0..self.rendezvous.servers.len())
            .try_for_each(|at| self.ask_rendezvous(turn, at, query, Some(About::Contact(peer))))
    }

    /// Finds out whether a server answers.
    pub(super) fn probe_rendezvous(&mut self, turn: &mut Turn<'_>, number: u64, uri: &ServerUri) -> Result<(), Error> {
        match self.rendezvous.servers.iter().position(|server| server.uri == *uri) {
            Some(at) => self.ask_rendezvous(turn, at, Query::Servers, Some(About::Probe(number))),
            None => {
                self.end_probe(turn.now.mono, number, Path::None, String::new(), None);
                Ok(())
            }
        }
    }

    fn ask_rendezvous(
        &mut self,
        turn: &mut Turn<'_>,
        at: usize,
        query: Query,
        about: Option<About>,
    ) -> Result<(), Error> {
        let ticket = about.map_or(0, |about| self.rendezvous.ticket(about));
        self.rendezvous(turn, at, Input::Ask { ticket, query })
    }

    /// News of a connection to a server.
    pub(super) fn rendezvous_event(&mut self, turn: &mut Turn<'_>, event: ClientEvent) -> Result<(), Error> {
        let of = |link: LinkId| move |server: &Server| server.link == Some(link);
        match event {
            ClientEvent::Opened { link, server_id } => {
                let Some(at) = self.rendezvous.servers.iter().position(of(link)) else { return Ok(()) };
                self.rendezvous(turn, at, Input::Connected { server_id })
            }
            ClientEvent::Received { link, bytes } => {
                let Some(at) = self.rendezvous.servers.iter().position(of(link)) else { return Ok(()) };
                self.rendezvous(turn, at, Input::Bytes(&bytes))
            }
            ClientEvent::Closed { link, fault } => {
                let Some(at) = self.rendezvous.servers.iter().position(of(link)) else { return Ok(()) };
                if let Some(server) = self.rendezvous.servers.get_mut(at) {
                    server.link = None;
                    if let Some(state) = fault.and_then(fault_state) {
                        server.known.set(state, turn.now.wall);
                    }
                }
                self.rendezvous(turn, at, Input::Closed)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn rendezvous_tick(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        for at in 0..self.rendezvous.servers.len() {
            let due = self.rendezvous.servers.get(at).and_then(|server| server.client.poll_timeout());
            if due.is_some_and(|due| due <= turn.now.mono) {
                self.rendezvous(turn, at, Input::Tick)?;
            }
        }
        Ok(())
    }

    /// What the turn wrote is durable.
    pub(super) fn rendezvous_committed(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        for at in 0..self.rendezvous.servers.len() {
            let save = self.rendezvous.servers.get_mut(at).and_then(|server| server.last_save.take());
            if let Some(save) = save {
                self.rendezvous(turn, at, Input::Saved(save))?;
            }
        }
        Ok(())
    }

    /// Gives one server's machine an input and carries out what it wants.
    fn rendezvous(&mut self, turn: &mut Turn<'_>, at: usize, input: Input<'_>) -> Result<(), Error> {
        let Some(server) = self.rendezvous.servers.get_mut(at) else { return Ok(()) };
        server.client.handle(turn.now, &mut turn.rng, turn.store, input).map_err(sremp_error)?;
        while let Some(server) = self.rendezvous.servers.get_mut(at) {
            let Some(output) = server.client.poll() else { break };
            match output {
                Output::Connect => {
                    self.rendezvous.last_link += 1;
                    let link = LinkId(self.rendezvous.last_link);
                    server.link = Some(link);
                    let open = ClientCommand::Open { link, server: server.uri.clone(), learned: server.learned };
                    self.rendezvous_command(open);
                }
                Output::Send(bytes) => {
                    if let Some(link) = server.link {
                        self.rendezvous_command(ClientCommand::Send(link, bytes));
                    }
                }
                Output::Close => {
                    let link = server.link;
                    self.close_rendezvous(link);
                }
                Output::Save(id, changes) => {
                    server.last_save = Some(id);
                    turn.store.apply(&changes).map_err(Error::from)?;
                }
                Output::Event(event) => self.rendezvous_news(turn, at, event)?,
            }
        }
        Ok(())
    }

    fn rendezvous_news(&mut self, turn: &mut Turn<'_>, at: usize, event: Event) -> Result<(), Error> {
        let now = turn.now.wall;
        let Some(server) = self.rendezvous.servers.get_mut(at) else { return Ok(()) };
        match event {
            Event::Registered { .. } => server.known.set(State::Ready, now),
            Event::NotRegistered { code, .. } => {
                let why = code.map_or("it refused", super::servers::refusal).to_owned();
                server.known.set(State::Refused(why), now);
            }
            Event::Left { .. } => server.leaving = false,
            Event::Offline { .. } => {
                if matches!(server.known.state, State::Connecting | State::Ready) {
                    let why = "it cannot be reached; it is tried again by itself".to_owned();
                    server.known.set(State::Waiting(why), now);
                }
            }
            Event::Answer { ticket, answer } => {
                if answer.is_ok() && !matches!(server.known.state, State::Refused(_)) {
                    server.known.set(State::Ready, now);
                }
                let via = server.uri.endpoint.to_string();
                if let Ok(Answer::Servers(named)) = &answer {
                    let by = server.uri.clone();
                    self.rendezvous.suggestions.retain(|(known, _)| *known != by);
                    self.rendezvous.suggestions.extend(named.iter().map(|one| (by.clone(), one.clone())));
                }
                return self.rendezvous_answer(turn, ticket, via, answer);
            }
            _ => {}
        }
        Ok(())
    }

    fn rendezvous_answer(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: u64,
        via: String,
        answer: Result<Answer, Failure>,
    ) -> Result<(), Error> {
        match (self.rendezvous.tickets.remove(&ticket), answer) {
            (Some(About::Contact(peer)), Ok(Answer::Peer(Some(found)))) => {
                self.account(turn, AccountInput::Found { identity: found.peer.identity })?;
                let at = SrempAddress::from(&found.peer.endpoint);
                let candidate = Candidate { at, learned: Learned::FromOthers };
                let asked = Asked { at: turn.now.mono, candidate: Some(candidate.clone()) };
                self.rendezvous.found.insert(peer, asked);
                self.ways.found(turn.now.mono, turn.rng, peer, candidate);
                self.drain_ways(turn)?;
                self.search_if_needed(turn, peer)
            }
            (Some(About::Contact(peer)), Err(Failure::Distrusted(_))) => {
                let text = "A rendezvous server gave an address for this contact that the contact did not sign, or an \
                            outdated one. It was not used."
                    .to_owned();
                self.events.push_back(WireEvent::Warning { peer: Some(peer), kind: "address_distrusted", text });
                Ok(())
            }
            (Some(About::Probe(number)), answer) => {
                let (path, text) = match answer {
                    Ok(_) => (Path::Relay, None),
                    Err(failure) => (Path::None, Some(failure_text(&failure))),
                };
                self.end_probe(turn.now.mono, number, path, via, text);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn close_rendezvous(&mut self, link: Option<LinkId>) {
        if let Some(link) = link {
            self.rendezvous_command(ClientCommand::Close(link));
        }
    }

    fn rendezvous_command(&mut self, command: ClientCommand) {
        self.commands.push_back(NetCommand::Sremp(SrempCommand::Rendezvous(command)));
    }
}

fn fault_state(fault: ClientFault) -> Option<State> {
    match fault {
        ClientFault::Tls(fault) => Some(State::Refused(format!("{fault}; ask its operator for the new address"))),
        ClientFault::Unreachable | ClientFault::Proxy | ClientFault::NotPermitted => {
            Some(State::Waiting(format!("{fault}; it is tried again by itself")))
        }
        _ => None,
    }
}

fn failure_text(failure: &Failure) -> String {
    match failure {
        Failure::Refused { code, .. } => {
            format!("It answers, but refuses: {}.", code.map_or("no reason given", super::servers::refusal))
        }
        Failure::Distrusted(_) => "Its answer does not hold.".to_owned(),
        _ => "It does not answer.".to_owned(),
    }
}

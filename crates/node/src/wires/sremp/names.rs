//! Names of contacts' addresses become candidates before a search begins: the timetable staggers addresses, and
//! the filter judges the address that is dialled. Profile, Selection and Address filter.

use super::ways::Candidate;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use waypost_core::{ContactId, Mono, SrempAddress};
use waypost_net::dial::Resolved;
use waypost_sremp::endpoint::Learned;
use waypost_sremp::select;

/// How long an answer is good.
const FRESH: Duration = Duration::from_secs(60);
/// Candidates of one search. Profile, Selection.
const CANDIDATES: usize = 6;
/// Names that are remembered.
const MOST: usize = 1000;

/// What names stand for.
#[derive(Default)]
pub(super) struct Names {
    known: BTreeMap<SrempAddress, Name>,
    tickets: BTreeMap<u64, SrempAddress>,
    /// Contacts whose search waits for names.
    waiting: BTreeSet<ContactId>,
    last_ticket: u64,
}

struct Name {
    asked: Mono,
    found: Option<Resolved>,
}

impl Names {
    /// The names among these that have to be looked up, each with the ticket of its question. None is left
    /// when all are known; until then the contact's search waits.
    pub(super) fn look_up(
        &mut self,
        now: Mono,
        peer: ContactId,
        candidates: &[Candidate],
    ) -> Option<Vec<(u64, SrempAddress)>> {
        if self.known.len() > MOST {
            self.known.retain(|_, name| now.since(name.asked) < FRESH);
        }
        let mut questions = Vec::new();
        let mut is_ready = true;
        for name in candidates.iter().map(|candidate| &candidate.at).filter(|at| at.host.parse::<IpAddr>().is_err()) {
            match self.known.get(name).filter(|known| now.since(known.asked) < FRESH) {
                Some(known) => is_ready &= known.found.is_some(),
                None => {
                    is_ready = false;
                    self.last_ticket += 1;
                    self.tickets.insert(self.last_ticket, name.clone());
                    self.known.insert(name.clone(), Name { asked: now, found: None });
                    questions.push((self.last_ticket, name.clone()));
                }
            }
        }
        if is_ready {
            self.waiting.remove(&peer);
            return None;
        }
        self.waiting.insert(peer);
        Some(questions)
    }

    /// An answer came. Gives the contacts that wait for names.
    pub(super) fn resolved(&mut self, ticket: u64, found: Resolved) -> Vec<ContactId> {
        let name = self.tickets.remove(&ticket);
        if let Some(known) = name.and_then(|name| self.known.get_mut(&name)) {
            known.found = Some(found);
        }
        self.waiting.iter().copied().collect()
    }

    /// The candidates as addresses, in the order of the profile: the one that worked last, those the person
    /// knows, those others named. A name that only a proxy may look up stays one.
    pub(super) fn expand(&self, candidates: Vec<Candidate>, has_worked: bool) -> Vec<Candidate> {
        let (mut given, mut named, mut by_proxy) = (Vec::new(), Vec::new(), Vec::new());
        for candidate in candidates {
            let group = if candidate.learned == Learned::FromUser { &mut given } else { &mut named };
            match candidate.at.host.parse() {
                Ok(address) => group.push(SocketAddr::new(address, candidate.at.port)),
                Err(_) => match self.known.get(&candidate.at).and_then(|known| known.found.as_ref()) {
                    Some(Resolved::Addresses(addresses)) => group.extend(addresses),
                    _ => by_proxy.push(candidate),
                },
            }
        }
        let last = given.first().copied().filter(|_| has_worked);
        let ordered = select::candidates(last, &given, &named, CANDIDATES).into_iter().map(|address| Candidate {
            at: SrempAddress { host: address.ip().to_string(), port: address.port() },
            learned: if given.contains(&address) { Learned::FromUser } else { Learned::FromOthers },
        });
        ordered.chain(by_proxy).take(CANDIDATES).collect()
    }

    /// What a contact's address was called before it was looked up.
    pub(super) fn origin(&self, at: SrempAddress) -> SrempAddress {
        let Ok(address) = at.host.parse::<IpAddr>() else { return at };
        let socket = SocketAddr::new(address, at.port);
        let stands_for = |name: &Name| matches!(&name.found, Some(Resolved::Addresses(all)) if all.contains(&socket));
        self.known.iter().find(|(_, name)| stands_for(name)).map_or(at, |(name, _)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: ContactId = ContactId::from_bytes([1; 32]);

    fn candidate(at: &str, learned: Learned) -> Candidate {
        Candidate { at: at.parse().unwrap(), learned }
    }

    #[test]
    fn waits_for_names_and_orders_their_addresses() {
        let mut names = Names::default();
        let now = Mono::from_millis(1);
        let candidates = vec![
            candidate("192.0.2.1:1", Learned::FromUser),
            candidate("bob.example:2", Learned::FromUser),
            candidate("198.51.100.3:3", Learned::FromOthers),
        ];
        let questions = names.look_up(now, PEER, &candidates).unwrap();
        assert_eq!(questions.len(), 1);
        assert_eq!(names.look_up(now, PEER, &candidates), Some(Vec::new()), "asked once");
        let found = vec!["192.0.2.9:2".parse().unwrap(), "[2001:db8::9]:2".parse().unwrap()];
        assert_eq!(names.resolved(questions[0].0, Resolved::Addresses(found)), [PEER]);
        assert_eq!(names.look_up(now, PEER, &candidates), None);
        let shown = |all: Vec<Candidate>| all.iter().map(|one| one.at.to_string()).collect::<Vec<_>>();
        let fresh = names.expand(candidates.clone(), false);
        assert_eq!(shown(fresh), ["[2001:db8::9]:2", "192.0.2.1:1", "192.0.2.9:2", "198.51.100.3:3"]);
        let known = names.expand(candidates, true);
        assert_eq!(known[0].at.to_string(), "192.0.2.1:1", "what worked last comes first");
        assert_eq!(names.origin("192.0.2.9:2".parse().unwrap()).to_string(), "bob.example:2");
    }

    #[test]
    fn leaves_a_name_to_the_proxy() {
        let mut names = Names::default();
        let candidates = vec![candidate("bob.example:2", Learned::FromUser)];
        let questions = names.look_up(Mono::default(), PEER, &candidates).unwrap();
        names.resolved(questions[0].0, Resolved::ByProxy);
        assert_eq!(names.expand(candidates.clone(), true), candidates);
    }
}

//! Framelink as a wire: connections to contacts with whom a key is shared.
//!
//! It seals nothing: a link carries messages of SREMP's account, sealed letters and their signed confirmations
//! among them, so that a letter is as well protected and proven here as on a connection of SREMP's own. The first
//! message each way is the signed identity, which must be that of the contact the key is shared with.

mod peers;

use crate::Error;
use crate::method::{SuggestedServer, WireStatus};
use crate::servers::{Server, Uri};
use crate::shared_keys;
use crate::wire::{Carried, NetCommand, NetInput, Probe, ServerStatus, Turn, Wire, WireEvent};
use peers::Peers;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use waypost_core::{Address, ContactId, InviteToken, Letter, Mono, SrempAddress, Wire as WireKind};
use waypost_net::framelink::{DriverCommand, DriverEvent, KeyOwner};
use waypost_sremp::{Identity, LinkId, Message};

/// News of the driver, or about it.
#[derive(Debug)]
pub enum FramelinkInput {
    /// What it reports.
    Driver(DriverEvent),
    /// Where it listens.
    Listening(Vec<String>),
}

/// The adapter.
pub struct Framelink {
    identity: Identity,
    peers: Peers,
    links: BTreeMap<u64, Link>,
    /// Invites that nobody has used yet: by the key of one, anybody may come.
    invites: BTreeSet<KeyOwner>,
    started: bool,
    events: VecDeque<WireEvent>,
    commands: VecDeque<NetCommand>,
    status: WireStatus,
}

struct Link {
    /// The contact the key is shared with; none before the identity has come, by the key of an invite.
    peer: Option<ContactId>,
    remote: String,
    we_dialled: bool,
    /// The signed identity has come.
    introduced: bool,
}

impl Framelink {
    /// The wire of a person with this signed identity.
    pub fn new(identity: Identity) -> Self {
        let status = WireStatus {
            wire: WireKind::Framelink,
            enabled: true,
            listening: Vec::new(),
            connected: Vec::new(),
            bytes_out: 0,
            bytes_in: 0,
            dropped: BTreeMap::new(),
        };
        Self {
            identity,
            peers: Peers::default(),
            links: BTreeMap::new(),
            invites: BTreeSet::new(),
            started: false,
            events: VecDeque::new(),
            commands: VecDeque::new(),
            status,
        }
    }

    /// Tells the driver which keys are good now.
    fn use_keys(&mut self, turn: &Turn<'_>) -> Result<(), Error> {
        let mut keys = Vec::new();
        let mut addresses = BTreeMap::new();
        for (peer, key) in shared_keys::all(turn.store)? {
            addresses.insert(peer, self.addresses_of(turn, &peer, key.address)?);
            keys.push((KeyOwner(*peer.as_bytes()), key.psk));
        }
        let invites = shared_keys::of_invites(turn.store, turn.now.wall)?;
        self.invites = invites.iter().map(|(hash, _)| KeyOwner(*hash)).collect();
        keys.extend(invites.into_iter().map(|(hash, psk)| (KeyOwner(hash), psk)));
        for link in self.peers.know(addresses) {
            self.command(DriverCommand::Close(link));
        }
        self.command(DriverCommand::Keys(keys));
        Ok(())
    }

    /// Where a contact listens: as the person said, then as its card says.
    fn addresses_of(
        &self,
        turn: &Turn<'_>,
        peer: &ContactId,
        given: Option<Address>,
    ) -> Result<Vec<SrempAddress>, Error> {
        let of_card = turn.store.contact(*peer)?.map(|row| row.addresses).unwrap_or_default();
        let all = given.into_iter().chain(of_card).filter_map(|address| match address {
            Address::Framelink(address) => Some(address),
            _ => None,
        });
        Ok(all.collect())
    }

    fn up(&mut self, number: u64, key: KeyOwner, remote: String, we_dialled: bool) {
        let peer = Some(ContactId::from_bytes(key.0)).filter(|_| !self.invites.contains(&key));
        if let Some(peer) = peer
            && let Some(reached) = self.peers.up(peer, number)
        {
            self.events.push_back(WireEvent::Reached { peer, address: Address::Framelink(reached) });
        }
        self.links.insert(number, Link { peer, remote, we_dialled, introduced: false });
        let identity = Message::Identity(self.identity.signed().clone()).encode();
        self.command(DriverCommand::Send(number, identity));
    }

    fn message(&mut self, number: u64, bytes: Vec<u8>) {
        let Some(link) = self.links.get_mut(&number) else { return };
        if link.introduced {
            self.events.push_back(WireEvent::Carried(Carried::Message { link: LinkId(number), bytes }));
            return;
        }
        let identity = match Message::decode(&bytes) {
            Ok(Message::Identity(signed)) => signed.verify().ok().filter(|identity| {
                identity.key() != self.identity.key() && link.peer.is_none_or(|peer| identity.key() == peer)
            }),
            _ => None,
        };
        let Some(identity) = identity else {
            let peer = link.peer;
            self.count("identity");
            self.events.push_back(WireEvent::Warning {
                peer,
                kind: "shared_key",
                text: "Somebody knows the key you share with this contact, but is not the contact. Agree on a new key \
                       with `waypost contact psk`."
                    .to_owned(),
            });
            self.command(DriverCommand::Close(number));
            return;
        };
        link.introduced = true;
        link.peer = Some(identity.key());
        let via = format!("framelink://{}", link.remote);
        let (wire, we_dialled) = (WireKind::Framelink, link.we_dialled);
        self.events.push_back(WireEvent::Carried(Carried::Up {
            wire,
            link: LinkId(number),
            identity: Box::new(identity),
            we_dialled,
            via,
        }));
    }

    fn down(&mut self, turn: &mut Turn<'_>, number: u64, reason: &str) -> Result<(), Error> {
        self.count(reason);
        if self.links.remove(&number).is_some_and(|link| link.introduced) {
            self.events.push_back(WireEvent::Carried(Carried::Down(LinkId(number))));
        }
        self.peers.down(turn.now.mono, turn.rng, number);
        Ok(())
    }

    /// Dials contacts whose time has come and for whom letters wait.
    fn dial_due(&mut self, turn: &Turn<'_>) -> Result<(), Error> {
        for peer in self.peers.due(turn.now.mono) {
            if turn.store.outbox_for(peer, 1)?.is_empty() && !self.peers.is_wanted(&peer) {
                self.peers.rest(&peer);
            } else if let Some((link, to)) = self.peers.dial(&peer) {
                self.command(DriverCommand::Dial { link, key: KeyOwner(*peer.as_bytes()), to });
            }
        }
        Ok(())
    }

    fn command(&mut self, command: DriverCommand) {
        self.commands.push_back(NetCommand::Framelink(command));
    }

    fn count(&mut self, reason: &str) {
        *self.status.dropped.entry(reason.to_owned()).or_default() += 1;
    }
}

impl Wire for Framelink {
    fn kind(&self) -> WireKind {
        WireKind::Framelink
    }

    fn is_carrier(&self) -> bool {
        true
    }

    fn carry(&mut self, _: &mut Turn<'_>, _: ContactId, _: &Letter, _: Option<InviteToken>) -> Result<(), Error> {
        Err(Error::Internal("a carrier is given what is sealed, never a letter".into()))
    }

    fn carried(&mut self, _: &mut Turn<'_>, _: Carried) -> Result<(), Error> {
        Ok(())
    }

    fn wanted(&mut self, turn: &mut Turn<'_>, peer: ContactId) -> Result<(), Error> {
        self.peers.want(turn.now.mono, &peer);
        self.dial_due(turn)
    }

    fn handle(&mut self, turn: &mut Turn<'_>, input: NetInput) -> Result<(), Error> {
        let NetInput::Framelink(input) = input else { return Ok(()) };
        match input {
            FramelinkInput::Listening(listening) => self.status.listening = listening,
            FramelinkInput::Driver(DriverEvent::Up { link, key, remote, we_dialled }) => {
                self.up(link, key, remote, we_dialled);
            }
            FramelinkInput::Driver(DriverEvent::Message { link, bytes }) => self.message(link, bytes),
            FramelinkInput::Driver(DriverEvent::Traffic { bytes_in, bytes_out }) => {
                self.status.bytes_in += bytes_in;
                self.status.bytes_out += bytes_out;
            }
            FramelinkInput::Driver(DriverEvent::Down { link, reason }) => self.down(turn, link, &reason)?,
        }
        Ok(())
    }

    fn contact_changed(&mut self, turn: &mut Turn<'_>, _: ContactId) -> Result<(), Error> {
        self.use_keys(turn)?;
        self.dial_due(turn)
    }

    fn shared_keys_changed(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        self.use_keys(turn)
    }

    fn identity_changed(&mut self, _: &mut Turn<'_>, identity: &Identity) -> Result<(), Error> {
        self.identity = identity.clone();
        Ok(())
    }

    fn servers_changed(&mut self, _: &mut Turn<'_>, _: &[Server]) -> Result<(), Error> {
        Ok(())
    }

    fn server_status(&self, _: &Uri) -> Option<ServerStatus> {
        None
    }

    fn addresses_changed(&mut self, _: &mut Turn<'_>, _: &[Address]) -> Result<(), Error> {
        Ok(())
    }

    fn leave(&mut self, _: &mut Turn<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn has_left(&self) -> bool {
        true
    }

    fn found_servers(&self) -> Vec<Server> {
        Vec::new()
    }

    fn suggestions(&self) -> Vec<SuggestedServer> {
        Vec::new()
    }

    /// Whoever seals answers for all its ways.
    fn probe(&mut self, _: &mut Turn<'_>, _: u64, _: &Probe) -> Result<(), Error> {
        Ok(())
    }

    fn close_all(&mut self) -> Vec<NetCommand> {
        self.links.keys().map(|link| NetCommand::Framelink(DriverCommand::Close(*link))).collect()
    }

    fn tick(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        if !std::mem::replace(&mut self.started, true) {
            self.use_keys(turn)?;
            for peer in self.peers.all() {
                self.peers.look(turn.now.mono, &peer);
            }
        }
        self.dial_due(turn)
    }

    fn committed(&mut self, _: &mut Turn<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn poll_event(&mut self) -> Option<WireEvent> {
        self.events.pop_front()
    }

    fn poll_command(&mut self) -> Option<NetCommand> {
        self.commands.pop_front()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        if self.started { self.peers.next_due() } else { Some(Mono::default()) }
    }

    fn is_online(&self, contact: &ContactId) -> bool {
        self.links.values().any(|link| link.introduced && link.peer == Some(*contact))
    }

    fn status(&self) -> WireStatus {
        let connected = self.links.values().filter(|link| link.introduced).filter_map(|link| link.peer);
        WireStatus { connected: connected.collect(), ..self.status.clone() }
    }
}

//! Connections of carriers: other wires that bring the account's messages to a contact.

use super::people::{Contacts, standing_of};
use super::{Sremp, SrempCommand};
use crate::Error;
use crate::wire::{Carried, NetCommand, Turn};
use std::collections::BTreeMap;
use waypost_core::{ContactId, Wire as WireKind};
use waypost_net::framelink::DriverCommand as FramelinkCommand;
use waypost_net::sremp::DriverCommand;
use waypost_sremp::account::Input as AccountInput;
use waypost_sremp::connection::Verdict;
use waypost_sremp::message::Pong;
use waypost_sremp::{CloseReason, ErrorCode, LinkId, Message};

/// Connections of carriers.
#[derive(Default)]
pub(super) struct Carriers(BTreeMap<LinkId, Carrier>);

struct Carrier {
    wire: WireKind,
    peer: ContactId,
    we_dialled: bool,
}

impl Carriers {
    /// Which wire a connection belongs to.
    pub(super) fn wire_of(&self, link: LinkId) -> WireKind {
        self.0.get(&link).map_or(WireKind::Sremp, |carrier| carrier.wire)
    }

    /// The command for whichever driver's connection it is.
    pub(super) fn addressed(&self, command: DriverCommand) -> NetCommand {
        match command {
            DriverCommand::Send(link, message) if self.0.contains_key(&link) => {
                NetCommand::Framelink(FramelinkCommand::Send(link.0, message.encode()))
            }
            DriverCommand::Close(link, _) if self.0.contains_key(&link) => {
                NetCommand::Framelink(FramelinkCommand::Close(link.0))
            }
            own => NetCommand::Sremp(SrempCommand::Driver(own)),
        }
    }
}

impl Sremp {
    /// A carrier has news.
    pub(super) fn take_carried(&mut self, turn: &mut Turn<'_>, news: Carried) -> Result<(), Error> {
        match news {
            Carried::Up { wire, link, identity, we_dialled, via } => {
                let peer = identity.key();
                self.carriers.0.insert(link, Carrier { wire, peer, we_dialled });
                self.remotes.insert(link, via);
                let standing = standing_of(turn.store, peer)?;
                self.account(turn, AccountInput::Judge { link, identity: *identity, standing })
            }
            Carried::Message { link, bytes } => match Message::decode(&bytes) {
                // No connection machine is there to answer a sign of life.
                Ok(Message::Ping(ping)) => {
                    self.command(DriverCommand::Send(link, Message::Pong(Pong { nonce: ping.nonce })));
                    Ok(())
                }
                Ok(Message::Pong(pong)) => {
                    self.probe_answered(turn.now.mono, link, pong.nonce);
                    Ok(())
                }
                Ok(message) => {
                    let people = Contacts { store: turn.store, config: turn.config, now: turn.now.wall };
                    self.arriving = self.carriers.wire_of(link);
                    let done = self.account(turn, AccountInput::Message { link, message, people: &people });
                    self.arriving = WireKind::Sremp;
                    done
                }
                Err(error) => {
                    self.count(error.code().name());
                    self.command(DriverCommand::Close(link, None));
                    Ok(())
                }
            },
            Carried::Down(link) => {
                let peer = self.carriers.0.remove(&link).map(|carrier| carrier.peer);
                self.remotes.remove(&link);
                self.probe_closed(turn.now.mono, link);
                self.account(turn, AccountInput::LinkDown(link))?;
                self.ways.closed(turn.now.mono, turn.rng, link, CloseReason::Local(ErrorCode::Timeout));
                self.drain_ways(turn)?;
                peer.map_or(Ok(()), |peer| self.search_if_needed(turn, peer))
            }
        }
    }

    /// The account has judged who is at the other end of a carrier's connection.
    pub(super) fn carrier_judged(&mut self, turn: &mut Turn<'_>, link: LinkId, verdict: &Verdict) -> Result<(), Error> {
        let Some((peer, we_dialled)) = self.carriers.0.get(&link).map(|known| (known.peer, known.we_dialled)) else {
            return Ok(());
        };
        match verdict {
            Verdict::Accept { .. } => self.linked(turn, link, peer, we_dialled),
            _ => {
                self.command(DriverCommand::Close(link, None));
                Ok(())
            }
        }
    }
}

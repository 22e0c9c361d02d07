//! The person's servers: added, listed, removed, and told to wires and contacts.

use super::Engine;
use crate::Error;
use crate::method::{AddServer, Done, ServerInfo, ServerParams};
use crate::servers::{self, MAX_RELAYS, MAX_RENDEZVOUS, Origin, Server, Uri};
use rand_core::CryptoRng;
use waypost_core::{ContactId, Now};

impl Engine {
    pub(super) fn servers(&self) -> Result<Vec<ServerInfo>, Error> {
        Ok(self.servers_in_use()?.iter().map(|server| self.server_info(server)).collect())
    }

    /// What the person added, and what was found beside it.
    pub(super) fn servers_in_use(&self) -> Result<Vec<Server>, Error> {
        let mut all = servers::load(&self.store)?;
        all.extend(self.wires.iter().flat_map(|wire| wire.found_servers()));
        Ok(all)
    }

    pub(super) fn add_server(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        params: &AddServer,
    ) -> Result<ServerInfo, Error> {
        let uri: Uri = params.server.trim().parse()?;
        let mut all = servers::load(&self.store)?;
        let known = all.iter().position(|server| server.uri.is_same(&uri));
        let accepted = known.and_then(|at| all.get(at)).is_some_and(|server| server.accepted);
        let server = Server { uri, origin: Origin::User, added: now.wall, accepted };
        match known.and_then(|at| all.get_mut(at)) {
            Some(place) => *place = server.clone(),
            None => {
                let is_relay = matches!(server.uri, Uri::Relay(_));
                let count = all.iter().filter(|other| matches!(other.uri, Uri::Relay(_)) == is_relay).count();
                let (most, what) =
                    if is_relay { (MAX_RELAYS, "relays") } else { (MAX_RENDEZVOUS, "rendezvous servers") };
                if count >= most {
                    return Err(Error::Limit(format!("you have {most} {what}; remove one first")));
                }
                all.push(server.clone());
            }
        }
        servers::save(&self.store, &all)?;
        self.servers_changed(now, rng)?;
        Ok(self.server_info(&server))
    }

    pub(super) fn remove_server(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        params: &ServerParams,
    ) -> Result<Done, Error> {
        let mut all = servers::load(&self.store)?;
        let found = find(&all, &params.server)?;
        let removed = all.remove(found);
        servers::save(&self.store, &all)?;
        self.servers_changed(now, rng)?;
        if removed.accepted {
            self.mailboxes_changed(now, rng)?;
        }
        Ok(Done { changed: 1 })
    }

    /// A relay has registered us: contacts may leave letters there from now on.
    pub(super) fn relay_accepted(&mut self, now: Now, rng: &mut dyn CryptoRng, relay: ContactId) -> Result<(), Error> {
        let mut all = servers::load(&self.store)?;
        let found = all.iter_mut().find(
            |server| matches!(&server.uri, Uri::Relay(known) if known.address.identity == relay && !server.accepted),
        );
        let Some(server) = found else { return Ok(()) };
        server.accepted = true;
        servers::save(&self.store, &all)?;
        self.mailboxes_changed(now, rng)
    }

    /// Lets wires know which servers there are.
    pub(super) fn servers_changed(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        let all = servers::load(&self.store)?;
        self.each_wire(now, rng, |wire, turn| wire.servers_changed(turn, &all))
    }

    fn server_info(&self, server: &Server) -> ServerInfo {
        let status = self.wires.iter().find_map(|wire| wire.server_status(&server.uri)).unwrap_or_default();
        ServerInfo {
            server: server.uri.shown(),
            kind: match server.uri {
                Uri::Relay(_) => "relay",
                Uri::Rendezvous(_) => "rendezvous",
            }
            .to_owned(),
            origin: match server.origin {
                Origin::User => "user",
                Origin::Invite => "invite",
                Origin::Builtin => "builtin",
                Origin::Dns => "dns",
            }
            .to_owned(),
            added: server.added,
            published: server.accepted,
            state: status.state,
            detail: status.detail,
            since: status.since,
        }
    }
}

/// Which server a person means: its whole URI, or its host and port, or a part of its key.
pub(super) fn find(all: &[Server], text: &str) -> Result<usize, Error> {
    let text = text.trim();
    let exact = text.parse::<Uri>().ok();
    let is_meant = |server: &&Server| match &exact {
        Some(uri) => server.uri.is_same(uri),
        None => !text.is_empty() && server.uri.shown().contains(text),
    };
    let found: Vec<usize> = all.iter().enumerate().filter(|(_, server)| is_meant(server)).map(|(at, _)| at).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(Error::NotFound { what: "server", name: text.to_owned() }),
        _ => Err(Error::Conflict(format!("several servers match \"{text}\"; use the whole address"))),
    }
}

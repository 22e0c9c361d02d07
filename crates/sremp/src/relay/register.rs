//! RELAY_REGISTER: who becomes a client, and of what kind. SREMP 8.1, profile SR-8.1a to SR-8.1c.

use super::{
    client::{ClientRow, note_identity},
    depot::{Depot, Step},
    mailbox,
};
use crate::{
    Error, ErrorCode, LinkId,
    message::{ErrorMessage, Message, RelayRegister, RelayRegistered},
};
use waypost_core::Records;

impl Depot {
    pub(super) fn register<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        link: LinkId,
        request: RelayRegister,
    ) -> Result<(), Error> {
        let Some(from) = self.links.get_mut(&link) else { return Ok(()) };
        let client = from.peer.key();
        let (wants_mailbox, wants_push) = (request.mailbox != Some(false), request.push == Some(true));
        let capabilities = request.capabilities;
        if request.identity != client || request.verify(&from.handshake_hash, &self.identity).is_err() {
            let request = Message::RelayRegister(request);
            step.refuse(link, ErrorMessage::new(ErrorCode::Auth).answering(&request));
            return Ok(());
        }
        if !self.policy.admits(&client) {
            let request = Message::RelayRegister(request);
            step.refuse(link, ErrorMessage::new(ErrorCode::Forbidden).answering(&request));
            return Ok(());
        }
        from.registered = true;
        let now = step.now.wall;
        let mut row = ClientRow::load(&step.batch, &client)?;
        if wants_mailbox {
            let row = row.get_or_insert_with(|| ClientRow::new(now));
            row.mailbox = true;
            row.max_message_size = capabilities.max_message_size;
            row.max_storage_duration = capabilities.max_storage_duration;
        }
        let (mut pending, mut one_time_left) = (0, 0);
        if let Some(mut row) = row {
            // Without a wish for a mailbox an existing one is left as it is, its age too.
            if wants_mailbox || !row.mailbox {
                row.registered = now;
            }
            note_identity(&mut step.batch, &from.peer)?;
            mailbox::expire(&mut step.batch, &mut row, &client, &self.policy, now, usize::MAX)?;
            self.expire_one_time(step, &mut row, &client)?;
            (pending, one_time_left) = (row.messages, row.one_time);
            row.keep(&mut step.batch, &client, &self.policy, &self.timing);
        }
        self.set_push(client, link, wants_push);
        let policy = self.policy.to_wire();
        step.send(link, RelayRegistered { policy, pending, one_time_left, relay_time: now });
        Ok(())
    }
}

//! From a call to the method that answers it.

use super::{Engine, Output};
use crate::Error;
use crate::method::{Call, Done};
use rand_core::CryptoRng;
use serde::Serialize;
use serde_json::Value;
use waypost_core::Now;

impl Engine {
    pub(super) fn call(&mut self, now: Now, rng: &mut dyn CryptoRng, call: Call) -> Result<Value, Error> {
        match call {
            Call::IdentityShow(_) => answer(self.identity_info()),
            Call::IdentityRename(params) => answer(self.rename(now, rng, &params.name)),
            Call::IdentityRotate(_) => answer(self.rotate(now, rng)),
            Call::CardShow(params) => answer(self.card_info(now, rng, params.invite)),
            Call::CardInvites(_) => answer(self.invites(now)),
            Call::ContactsList(_) => answer(self.contacts()),
            Call::ContactsShow(params) => answer(self.resolve(&params.contact).and_then(|row| self.contact_info(&row))),
            Call::ContactsRequests(_) => answer(self.requests()),
            Call::ContactsAdd(params) => answer(self.add_contact(now, rng, &params)),
            Call::ContactsAccept(params) => answer(self.accept_contact(now, rng, &params.contact)),
            Call::ContactsBlock(params) => answer(self.block_contact(now, rng, &params.contact)),
            Call::ContactsRename(params) => answer(self.rename_contact(&params)),
            Call::ContactsRemove(params) => answer(self.remove_contact(now, rng, &params)),
            Call::ContactsVerification(params) => answer(self.verification(&params.contact)),
            Call::ContactsPsk(params) => answer(self.contact_psk(now, rng, &params)),
            Call::ContactsVerify(params) => answer(self.verify_contact(now, rng, &params)),
            Call::LettersSend(params) => answer(self.send_letter(now, rng, params)),
            Call::LettersInbox(params) => answer(self.inbox(&params)),
            Call::LettersHistory(params) => answer(self.history(&params)),
            Call::LettersSearch(params) => answer(self.search(&params)),
            Call::LettersRead(params) => answer(self.read_letters(now, rng, &params)),
            Call::LettersTrace(params) => answer(self.trace(&params.letter)),
            Call::ServersList(_) => answer(self.servers()),
            Call::ServersSuggested(_) => {
                json(self.wires.iter().flat_map(|wire| wire.suggestions()).collect::<Vec<_>>())
            }
            Call::ServersAdd(params) => answer(self.add_server(now, rng, &params)),
            Call::ServersRemove(params) => answer(self.remove_server(now, rng, &params)),
            Call::NodeStatus(_) => answer(self.status(now)),
            Call::NodeDoctor(_) => answer(self.doctor(now)),
            Call::NodeWarnings(_) => answer(self.warnings()),
            // Taken out before the turn begins.
            Call::BackupExport(_) => Err(Error::Internal("a backup within a turn".into())),
            // Answered when wires have found it out.
            Call::ServersTest(_) | Call::NodePing(_) => Err(Error::Internal("a question that takes time".into())),
            Call::NodeStop(_) => {
                self.staged.push(Output::Stop);
                json(Done { changed: 1 })
            }
        }
    }
}

fn answer<T: Serialize>(result: Result<T, Error>) -> Result<Value, Error> {
    json(result?)
}

pub(super) fn json(value: impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::Internal(error.to_string()))
}

//! Letters of and to people whose software knows TEXT and RECEIPT only: translated both ways.

use super::outbox::Item;
use super::{Account, Step};
use crate::content::{Content, Receipt, Text};
use crate::msgpack::record;
use crate::trust::book;
use crate::{Error, msgpack};
use sha2::{Digest, Sha256};
use waypost_core::{Body, ContactId, Letter, LetterId, Records, Space, Wall};

/// The entry of an identity's metadata that says: LETTER is understood here.
pub const WAYPOST: &str = "waypost";

/// Letters by the peer and TEXT.id under which it knows them.
pub(super) const BY_TEXT: Space = Space("sremp/foreign-text");
/// TEXT.ids by the peer and the letter.
pub(super) const BY_LETTER: Space = Space("sremp/foreign-letter");

record! {
    /// One pair of ids.
    pub(super) struct Pair {
        /// The house's id.
        letter: LetterId,
        /// The peer's.
        text: u64,
        /// When it was noted.
        pub(super) at: Wall,
    }
}

impl Account {
    /// What an item becomes for this peer: LETTER for our own kind, TEXT or RECEIPT for others.
    /// The inner error says why it cannot be sent to it.
    pub(super) fn content_for<R: Records>(
        &self,
        step: &mut Step<'_, R>,
        peer: &ContactId,
        item: &Item,
        text_id: u64,
    ) -> Result<Result<Vec<u8>, &'static str>, Error> {
        let ours = book::row(&step.batch, peer)?.is_some_and(|row| row.identity.metadata(WAYPOST).is_some());
        let letter = match Content::decode(item.content()) {
            // The newest one, however long it waited.
            Content::Identity(_) => {
                return Ok(Ok(Content::Identity(self.identity().signed().clone()).encode()?));
            }
            Content::Letter { letter, .. } if !ours => letter,
            _ => return Ok(Ok(item.content().to_vec())),
        };
        let id = letter.id;
        let text = |text: String, reply_to| {
            Content::Text(Text { id: text_id, sent: letter.sent, text, reply_to, letter: Some(id) })
        };
        let content = match letter.body {
            Body::Text { text: words } => text(words, None),
            Body::Reply { to, text: words } => text(words, text_of_letter(&step.batch, peer, &to)?),
            Body::Edit { text: words, .. } => text(format!("* {words}"), None),
            Body::Receipt { receipt, letters } => {
                let mut message_ids = Vec::new();
                for letter in &letters {
                    message_ids.extend(text_of_letter(&step.batch, peer, letter)?);
                }
                Content::Receipt(Receipt { kind: receipt, message_ids })
            }
            _ => return Ok(Err("the contact's software knows text only")),
        };
        if matches!(content, Content::Text(_)) {
            self.note_pair(step, peer, id, text_id);
        }
        Ok(Ok(content.encode()?))
    }

    /// The letter that a foreign content is; none for what is not for people.
    pub(super) fn letter_of<R: Records>(
        &self,
        step: &mut Step<'_, R>,
        peer: &ContactId,
        message_id: u64,
        content: Content,
    ) -> Result<Option<Letter>, Error> {
        Ok(match content {
            Content::Text(text) => {
                let id = text.letter.unwrap_or_else(|| derived_id(peer, text.id));
                self.note_pair(step, peer, id, text.id);
                let body = match text.reply_to {
                    None => Body::Text { text: text.text },
                    Some(to) => Body::Reply { to: letter_of_text(&step.batch, peer, to)?, text: text.text },
                };
                Some(Letter { id, sent: text.sent, body })
            }
            Content::Receipt(receipt) => {
                let mut letters = Vec::new();
                for text in receipt.message_ids {
                    letters.push(letter_of_text(&step.batch, peer, text)?);
                }
                let first = letters.first().map_or([0; 16], |letter| *letter.as_bytes());
                let body = Body::Receipt { receipt: receipt.kind, letters };
                Some(Letter { id: LetterId::from_bytes(first), sent: step.now.wall, body })
            }
            Content::Unknown { name } => {
                let body = Body::Unknown { name, bytes: String::new() };
                Some(Letter { id: derived_id(peer, message_id), sent: step.now.wall, body })
            }
            _ => None,
        })
    }

    fn note_pair<R: Records>(&self, step: &mut Step<'_, R>, peer: &ContactId, letter: LetterId, text: u64) {
        let pair = msgpack::encode(&Pair { letter, text, at: step.now.wall });
        step.batch.put(BY_TEXT, [&peer.as_bytes()[..], &text.to_be_bytes()].concat(), pair.clone());
        step.batch.put(BY_LETTER, [&peer.as_bytes()[..], letter.as_bytes()].concat(), pair);
    }
}

/// The TEXT.id under which a peer knows a letter, if it went or came as TEXT.
///
/// # Errors
/// The records failed.
pub fn text_of_letter(
    records: &(impl Records + ?Sized),
    peer: &ContactId,
    letter: &LetterId,
) -> Result<Option<u64>, Error> {
    let key = [&peer.as_bytes()[..], letter.as_bytes()].concat();
    let Some(value) = records.record(BY_LETTER, &key)? else { return Ok(None) };
    Ok(Some(msgpack::decode::<Pair>(&value)?.text))
}

/// The letter that a peer knows under a TEXT.id.
///
/// # Errors
/// The records failed.
pub fn letter_of_text(records: &(impl Records + ?Sized), peer: &ContactId, text: u64) -> Result<LetterId, Error> {
    let key = [&peer.as_bytes()[..], &text.to_be_bytes()].concat();
    match records.record(BY_TEXT, &key)? {
        Some(value) => Ok(msgpack::decode::<Pair>(&value)?.letter),
        None => Ok(derived_id(peer, text)),
    }
}

/// The id of a foreign message: the same whenever and however often it comes.
fn derived_id(sender: &ContactId, text: u64) -> LetterId {
    let mut hash = Sha256::new();
    hash.update(b"waypost foreign letter\0sremp\0");
    hash.update(sender.as_bytes());
    hash.update(text.to_be_bytes());
    first_half(&hash.finalize().into())
}

fn first_half(digest: &[u8; 32]) -> LetterId {
    let mut id = [0; 16];
    id.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
    LetterId::from_bytes(id)
}

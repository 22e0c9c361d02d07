//! One account, and a peer that is played by hand with a vault: a client that knows TEXT and RECEIPT only.

use super::side::Side;
use crate::people::Person;
use waypost_core::{ContactId, Wall};
use waypost_sremp::{
    ErrorCode, LinkId, Message,
    account::{Input, Standing},
    content::Content,
    ed25519::SigningKey,
    message::{DeliveryConfirmation, DirectMessage, ErrorMessage, FetchPrekeys, Prekeys},
};

pub(crate) const LINK: LinkId = LinkId(1);

pub(crate) struct Desk {
    pub(crate) me: Side,
    pub(crate) peer: Person,
    next_id: u64,
}

impl Desk {
    /// Connected; nobody has started a session. The peer's key is the lower one, so that it is the
    /// peer's turn.
    pub(crate) fn new(standing: Standing) -> Self {
        let mut me = Side::new("Bob", 900, true);
        me.standing = standing;
        let peer = (0..).map(|seed| Person::new("Old", seed)).find(|peer| peer.id() < me.id()).unwrap();
        let mut desk = Self { me, peer, next_id: 1 };
        desk.connect();
        desk
    }

    /// With a session that the peer started and the account answered.
    pub(crate) fn acquainted(standing: Standing) -> Self {
        let mut desk = Self::new(standing);
        desk.start();
        desk.hear(&Content::Null);
        desk.me.wait(std::time::Duration::from_secs(1));
        for message in desk.me.take_sent() {
            desk.read(&message);
        }
        desk.me.events.clear();
        desk
    }

    pub(crate) fn connect(&mut self) {
        let identity = self.peer.identity.clone();
        self.me.give(Input::LinkDown(LINK));
        self.me.judge(&identity);
        self.me.give(Input::LinkUp { link: LINK, peer: identity.key(), we_dialled: false });
    }

    pub(crate) fn wall(&self) -> Wall {
        self.me.now.wall
    }

    /// Gives a message of the peer to the account and takes what it answers.
    pub(crate) fn say(&mut self, message: impl Into<Message>) -> Vec<Message> {
        self.me.message(LINK, message.into());
        self.me.take_sent()
    }

    pub(crate) fn fetch(&mut self) -> Prekeys {
        let answer = self.say(FetchPrekeys { target: self.me.id() });
        let [Message::Prekeys(prekeys)] = &answer[..] else { panic!("{answer:?}") };
        prekeys.clone()
    }

    /// The peer fetches prekeys and starts a session.
    pub(crate) fn start(&mut self) {
        let mut prekeys = self.fetch();
        prekeys.identity = Some(self.me.identity.signed().clone());
        let now = self.wall();
        self.peer.start_with(&prekeys, now).unwrap();
    }

    /// The peer seals bytes under a new id.
    pub(crate) fn seal(&mut self, content: &[u8]) -> DirectMessage {
        self.next_id += 1;
        let (id, now, to) = (self.next_id, self.wall(), self.me.id());
        let sealed = self.peer.step(|vault, batch, _, rng| vault.seal(batch, to, id, content, now, rng)).unwrap();
        DirectMessage { message_id: id, encrypted_blob: sealed.blob.into() }
    }

    /// The peer says something on its session.
    pub(crate) fn hear(&mut self, content: &Content) -> Vec<Message> {
        let message = self.seal(&content.encode().unwrap());
        self.say(message)
    }

    /// What the account sealed for the peer.
    pub(crate) fn read(&mut self, message: &Message) -> Option<Content> {
        let Message::DirectMessage(message) = message else { return None };
        let (from, now) = (self.me.id(), self.wall());
        let opened = self.peer.open_from(from, message.message_id, &message.encrypted_blob, now, true).unwrap();
        Some(Content::decode(&opened.content))
    }

    /// The peer's error about a message.
    pub(crate) fn complain(&mut self, message_id: u64, code: ErrorCode) -> Vec<Message> {
        self.say(ErrorMessage {
            message_id: Some(message_id),
            request: Some("DIRECT_MESSAGE".into()),
            ..ErrorMessage::new(code).not_fatal()
        })
    }

    pub(crate) fn confirmation(&self, message_id: u64) -> DeliveryConfirmation {
        confirmation(&self.peer.signing, self.me.id(), message_id, self.wall())
    }
}

/// A confirmation as the profile writes it.
pub(crate) fn confirmation(
    signing: &SigningKey,
    sender: ContactId,
    message_id: u64,
    timestamp: Wall,
) -> DeliveryConfirmation {
    let delivered_to = signing.public();
    let content = [
        b"SREMP/1 delivered\0".as_slice(),
        sender.as_bytes(),
        delivered_to.as_bytes(),
        &message_id.to_be_bytes(),
        &timestamp.as_millis().to_be_bytes(),
    ]
    .concat();
    let signature = signing.sign(&content);
    DeliveryConfirmation { message_id, delivered_to, timestamp, signature, sender: Some(sender), seq: None }
}

/// The id and the bytes of the only message that was sealed.
pub(crate) fn only_sealed(messages: &[Message]) -> DirectMessage {
    let sealed: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            Message::DirectMessage(message) => Some(message),
            _ => None,
        })
        .collect();
    let [message] = &sealed[..] else { panic!("{} sealed messages", sealed.len()) };
    (*message).clone()
}

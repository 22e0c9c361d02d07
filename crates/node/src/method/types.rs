//! What methods take and give.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use waypost_core::{Address, Body, Card, ContactId, LetterId, Protection, Wall, Wire};

macro_rules! object {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }
        )*
    };
}

/// A contact by its id (64 hex digits) or by the name it has here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ContactRef(pub String);

object! {
    /// No parameters.
    Nothing {}
    /// It is done.
    Done {
        /// How many things it changed.
        changed: u64,
    }
    /// Who this node is.
    IdentityInfo {
        /// The identity key: the id by which others know this person.
        contact: ContactId,
        /// The name contacts see.
        name: String,
        /// The transport key, hex.
        noise_key: String,
        /// Version of the signed identity.
        version: u64,
        /// When this version was signed.
        created: Wall,
        /// Where others reach this node.
        addresses: Vec<Address>,
    }
    /// A new name for oneself.
    Rename {
        /// 1..=40 characters.
        name: String,
    }
    /// What kind of card.
    CardParams {
        /// Put a one-time invite in, so that the first letter of whoever holds it needs no acceptance.
        #[serde(default)]
        invite: bool,
    }
    /// The own card.
    CardInfo {
        /// The `waypost:` link; text of the QR code too.
        link: String,
        /// What it says.
        card: Card,
        /// When the invite in it ends, if there is one.
        invite_expires: Option<Wall>,
        /// The same for people with other SREMP software: an `sremp:1?` invitation.
        sremp: String,
    }
    /// An invite not yet used.
    InviteInfo {
        /// When it was made.
        created: Wall,
        /// When it ends.
        expires: Wall,
    }
    /// Which contact.
    ContactParams {
        /// The contact.
        contact: ContactRef,
    }
    /// A contact.
    ContactInfo {
        /// The identity key.
        contact: ContactId,
        /// The name it has here.
        name: String,
        /// The name it gives itself, if known.
        username: Option<String>,
        /// `contact`, `request` or `blocked`.
        status: String,
        /// `unknown`, `trusted` or `rejected` (SREMP 3.2).
        trust: String,
        /// How its key was verified out of band: `number` or `qr`; none if it was not.
        verified: Option<String>,
        /// Where it is reachable.
        addresses: Vec<Address>,
        /// Whether a connection to it stands now.
        online: bool,
        /// When something was last heard of it.
        last_seen: Option<Wall>,
        /// Letters of it not yet read.
        unread: u64,
        /// When it was added.
        added: Wall,
        /// What the person should look at, like a forked identity.
        warnings: Vec<String>,
    }
    /// Somebody who waits to be accepted.
    RequestInfo {
        /// Who.
        contact: ContactInfo,
        /// How many letters wait.
        letters: u64,
        /// The beginning of the first, as plain text.
        preview: Option<String>,
    }
    /// A contact to add.
    AddContact {
        /// A `waypost:` link or an `sremp:1?` invitation.
        card: String,
        /// The name it shall have here; its own if left out.
        #[serde(default)]
        name: Option<String>,
    }
    /// A new name for a contact.
    RenameContact {
        /// The contact.
        contact: ContactRef,
        /// The name it shall have here.
        name: String,
    }
    /// What to do with the key shared with a contact; shows it if nothing else is said.
    PskParams {
        /// The contact.
        contact: ContactRef,
        /// The key to share from now on: a `FRAMELINK-PSK-1-` line.
        #[serde(default)]
        line: Option<String>,
        /// Make a new key.
        #[serde(default)]
        generate: bool,
        /// Share none any more.
        #[serde(default)]
        remove: bool,
        /// Where the contact listens, if its card does not say so: `framelink://host:port`.
        #[serde(default)]
        address: Option<Address>,
    }
    /// The key shared with a contact.
    PskInfo {
        /// The contact.
        contact: ContactId,
        /// The key as a line; whoever knows it can take part. None is shared if it is missing.
        line: Option<String>,
        /// `invite` or `hand`: where it comes from.
        from: Option<String>,
        /// Where the contact listens.
        addresses: Vec<Address>,
    }
    /// A contact to remove.
    RemoveContact {
        /// The contact.
        contact: ContactRef,
        /// Remove the history too.
        #[serde(default)]
        forget: bool,
    }
    /// What two people compare.
    Verification {
        /// 60 digits in 12 groups of 5; the same on both sides.
        number: String,
        /// The text of the QR code that the other side scans.
        qr: String,
    }
    /// Proof that a contact's key was verified.
    VerifyContact {
        /// The contact.
        contact: ContactRef,
        /// The number as read from the other side's screen.
        #[serde(default)]
        number: Option<String>,
        /// The text of the QR code on the other side's screen.
        #[serde(default)]
        qr: Option<String>,
    }
    /// A letter to write.
    SendLetter {
        /// To whom.
        to: ContactRef,
        /// The letter's id (32 hex digits), chosen by the caller to make repeats harmless; made here if left out.
        #[serde(default)]
        id: Option<LetterId>,
        /// What it says.
        body: Body,
    }
    /// A letter that is now on disk.
    SentLetter {
        /// Its id.
        id: LetterId,
        /// To whom.
        contact: ContactId,
        /// `queued` at first; further if it was sent before.
        state: String,
    }
    /// Which part of the inbox.
    InboxParams {
        /// Only letters with a higher number.
        #[serde(default)]
        after: Option<i64>,
        /// At most so many, 1..=500; 50 if left out.
        #[serde(default)]
        limit: Option<u32>,
        /// Only those not read.
        #[serde(default)]
        unread: bool,
    }
    /// Which part of a conversation.
    HistoryParams {
        /// With whom.
        contact: ContactRef,
        /// Only letters with a lower number.
        #[serde(default)]
        before: Option<i64>,
        /// At most so many, 1..=500; 50 if left out.
        #[serde(default)]
        limit: Option<u32>,
    }
    /// What to look for.
    SearchParams {
        /// Words that must all be in the text.
        query: String,
        /// Only letters of this conversation.
        #[serde(default)]
        contact: Option<ContactRef>,
        /// At most so many, 1..=500; 50 if left out.
        #[serde(default)]
        limit: Option<u32>,
    }
    /// Some letters.
    Page {
        /// The letters.
        entries: Vec<Entry>,
    }
    /// One letter as it is shown.
    Entry {
        /// Its number in this node's history; rises.
        seq: i64,
        /// Its id.
        id: LetterId,
        /// The conversation.
        contact: ContactId,
        /// The contact's name here.
        name: String,
        /// `in` or `out`.
        direction: String,
        /// The sender's clock.
        sent: Wall,
        /// When it came to this node's disk.
        stored: Wall,
        /// What it said at first; for a deleted letter an empty text.
        body: Body,
        /// The text it was changed to, if it was.
        edited: Option<String>,
        /// Whether its sender took it back.
        deleted: bool,
        /// Emojis on it.
        reactions: Vec<Reaction>,
        /// `queued`, `sent`, `stored`, `delivered`, `read`, `failed`; `received` or `read` for those that came in.
        state: String,
        /// Why it failed, if it did.
        reason: Option<String>,
        /// How it was protected.
        protection: Protection,
        /// The wire it came or went by.
        wire: Option<Wire>,
    }
    /// An emoji on a letter.
    Reaction {
        /// Whether it is this person's own.
        own: bool,
        /// The emoji.
        emoji: String,
    }
    /// Letters that were read.
    ReadLetters {
        /// Of whom.
        contact: ContactRef,
        /// Which; all if left out.
        #[serde(default)]
        letters: Option<Vec<LetterId>>,
    }
    /// Which letter.
    LetterParams {
        /// Its id.
        letter: LetterId,
    }
    /// The way of one letter.
    Trace {
        /// Its id.
        letter: LetterId,
        /// Steps, oldest first.
        steps: Vec<Step>,
        /// Attempts to move it, oldest first.
        routes: Vec<Route>,
    }
    /// One step.
    Step {
        /// When.
        at: Wall,
        /// What happened, like `queued`, `sealed`, `delivered`.
        what: String,
        /// The attempt that caused it, if one did.
        route: Option<u64>,
    }
    /// One attempt over one wire.
    Route {
        /// Its number.
        route: u64,
        /// The wire.
        wire: Wire,
        /// Where to or through.
        via: String,
        /// When it began.
        started: Wall,
        /// When it ended, if it did.
        ended: Option<Wall>,
        /// How it ended, or `open`.
        outcome: String,
        /// How the letter was protected on it.
        protection: Protection,
    }
    /// How the node is.
    Status {
        /// The version of the software.
        version: String,
        /// Who it is.
        identity: IdentityInfo,
        /// Milliseconds since it started.
        uptime_ms: u64,
        /// Contacts.
        contacts: u64,
        /// People who wait to be accepted.
        requests: u64,
        /// Letters that wait to be sent.
        outbox: u64,
        /// Letters not read.
        unread: u64,
        /// The wires.
        wires: Vec<WireStatus>,
    }
    /// How one wire is.
    WireStatus {
        /// Which.
        wire: Wire,
        /// Whether it is in use.
        enabled: bool,
        /// Where it listens.
        listening: Vec<String>,
        /// Contacts it is connected to.
        connected: Vec<ContactId>,
        /// Bytes sent since the start.
        bytes_out: u64,
        /// Bytes received since the start.
        bytes_in: u64,
        /// Things refused or dropped since the start, by reason.
        dropped: std::collections::BTreeMap<String, u64>,
    }
    /// One finding of the doctor.
    Check {
        /// What was checked.
        name: String,
        /// `ok`, `warning` or `problem`.
        result: String,
        /// What was found.
        text: String,
        /// What to do, if something.
        advice: Option<String>,
    }
    /// A warning.
    WarningInfo {
        /// When.
        at: Wall,
        /// About whom, if about somebody.
        contact: Option<ContactId>,
        /// A short name of the kind.
        kind: String,
        /// For people.
        text: String,
    }
    /// A server to use.
    AddServer {
        /// `sremp-relay://host:port?k=KEY` or `sremp-rdv://host:port`.
        server: String,
    }
    /// Which server.
    ServerParams {
        /// Its URI, or a part that only it has, like `host:port`.
        server: String,
    }
    /// A server of this person.
    ServerInfo {
        /// Its URI, without secrets.
        server: String,
        /// `relay` or `rendezvous`.
        kind: String,
        /// Who named it: `user`, `invite`, `builtin` or `dns`.
        origin: String,
        /// When it was added.
        added: Wall,
        /// For a relay: whether contacts are told to leave letters there.
        published: bool,
        /// `ready`, `connecting`, `waiting` or `refused`.
        state: String,
        /// More about the state, for people.
        detail: Option<String>,
        /// Since when it is so.
        since: Option<Wall>,
    }
    /// A server that another one named.
    SuggestedServer {
        /// Its URI.
        server: String,
        /// What it is called there, if it is called something.
        name: Option<String>,
        /// Who named it.
        named_by: String,
    }
    /// What a test of a server found.
    ServerTest {
        /// Its URI, without secrets.
        server: String,
        /// Whether it works.
        works: bool,
        /// What was found, for people.
        text: String,
        /// What to do, if something.
        advice: Option<String>,
        /// Milliseconds until it answered.
        took_ms: Option<u64>,
    }
    /// Whom to ping.
    PingParams {
        /// The contact.
        contact: ContactRef,
        /// Give up after so many milliseconds; 10,000 if left out.
        #[serde(default)]
        timeout_ms: Option<u64>,
    }
    /// By which path a contact answers.
    Pong {
        /// Who.
        contact: ContactId,
        /// `direct`, `relay` or `none`.
        path: String,
        /// Address of the other end of the path.
        via: Option<String>,
        /// Milliseconds until the other end answered: the contact, or its relay.
        took_ms: Option<u64>,
        /// What it means, for people.
        text: String,
    }
    /// Where to and how to write a backup.
    ExportParams {
        /// Absolute path of a file that does not exist yet.
        path: String,
        /// What the backup is sealed with.
        passphrase: String,
    }
    /// A backup that was written.
    ExportInfo {
        /// The file.
        path: String,
        /// Its size.
        bytes: u64,
        /// Letters in it.
        letters: u64,
    }
}

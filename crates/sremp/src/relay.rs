//! A relay: keeps sealed messages for people who are away and hands them over when they come.
//! SREMP 8, profile SR-8.1a to SR-8.2f and Relay.
//!
//! ```text
//! STORE_MESSAGE ──checks──> queue entry, blob, triple (records) ──Saved──> STORE_RESPONSE, push
//! RETRIEVE_MESSAGES ──cursor──> MESSAGE_BATCH of messages and confirmations, by seq
//! DELIVERY_CONFIRMATION ──signature──> message gone; confirmation kept for its sender, who may be told live
//! ```
//! All state lies in records; memory holds open connections and rates. Counters are records too, so no
//! request needs to walk through a mailbox.
//!
//! ```text
//! relay/client        identity                          mailbox, wishes, counters, when to look at it again
//! relay/identity      identity                          the highest version seen of a client
//! relay/queue         recipient | seq                   what a message is, without its blob
//! relay/blob          recipient | seq                   the blob
//! relay/triple        recipient | message_id | sender   what was stored once, by hash
//! relay/usage         recipient | sender                how much of a mailbox a sender takes
//! relay/confirmation  sender | seq                      confirmations that wait for their sender
//! relay/bundle        owner                             the prekey bundle published last
//! relay/one-time      owner | id                        one-time prekeys
//! relay/due           time | kind | key                 what has to be looked at, in the order of time
//! ```

mod client;
mod confirm;
mod depot;
mod mailbox;
mod policy;
mod prekeys;
mod register;
mod retrieve;
mod signature;
mod store;
mod sweep;

pub use depot::{Depot, Input, Output};
pub use policy::{Access, DepotLimits, DepotTiming, Policy};
pub use signature::{Role, auth_content, confirmation_content, store_content};

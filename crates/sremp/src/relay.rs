//! A relay: keeps sealed messages for people who are away and hands them over when they come.
//! SREMP 8, profile SR-8.1a to SR-8.2f and Relay.
//!
//! ```text
//! STORE_MESSAGE ──signature, rate──> Put ──────────────> STORE_RESPONSE
//!                                     └──Hint──> Fetch ──> push, at whatever process the recipient is
//! RETRIEVE_MESSAGES ──cursor──> Fetch ─────────────────> MESSAGE_BATCH of messages and confirmations, by seq
//! DELIVERY_CONFIRMATION ──signature──> Ack, and a Notice in the sender's mailbox
//! ```
//! The depot decides, an engine keeps: what it needs it asks for by [`Output::Mailbox`], and nothing is said
//! to be stored before the engine said so. Quotas, terms, counters and expiry are the engine's. Memory holds
//! open connections and rates, so any number of processes can be one relay: what is written after a read
//! stands behind `Expect`, and is decided again when another process was faster.
//!
//! ```text
//! relay/mailbox        identity       messages (key: message_id | sender) and confirmations
//! relay/identity       identity       the highest version seen of a client
//! relay/admitted       identity       who has shown a token
//! relay/bundle         owner          the prekey bundle published last
//! relay/one-time       owner | id     one-time prekeys
//! relay/one-time-key   owner | id     the same without content, to count them
//! ```

mod confirm;
mod depot;
mod policy;
mod prekeys;
mod push;
mod records;
mod register;
mod retrieve;
mod session;
mod signature;
mod store;

pub use crate::docket::Counts;
pub use depot::{Depot, Input, Output};
pub use policy::{Access, DepotLimits, DepotTiming, Policy, TokenHash};
pub use session::ClientTiming;
pub(crate) use session::{ClientSession, Request};
pub use signature::{Role, auth_content, confirmation_content, store_content};

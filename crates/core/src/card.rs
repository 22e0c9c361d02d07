//! A contact's card: who somebody is and where to reach them. Its signature is checked by whoever
//! decodes it (`node::card`); a `Card` in memory has been verified.

use crate::{Address, ContactId, Wall};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::ZeroizeOnDrop;

/// The verified content of a `waypost:` link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Card {
    /// The person: the key that signed the card.
    pub contact: ContactId,
    /// The name the person goes by, 1..=40 characters.
    pub name: String,
    /// The SREMP noise key at the time of issue (32 bytes, hex): the dial pin.
    #[serde(with = "hex")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub noise_key: [u8; 32],
    /// Rises with every change; the higher one counts.
    pub version: u64,
    /// When it was signed.
    pub issued: Wall,
    /// Where the person is reachable, best first.
    pub addresses: Vec<Address>,
}

/// A secret of 16 random bytes that lets its holder make first contact, once.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct InviteToken(pub [u8; 16]);

impl fmt::Debug for InviteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteToken(..)")
    }
}

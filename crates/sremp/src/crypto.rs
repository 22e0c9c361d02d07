//! Keys, signatures and labels, by the profile's rules.

pub mod ed25519;
mod label;
pub mod x25519;

pub(crate) use label::label;

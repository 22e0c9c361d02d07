//! The adapters: one protocol each, as the engine's [`Wire`](crate::wire::Wire).

pub mod framelink;
pub mod sremp;

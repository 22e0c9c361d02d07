//! Framelink.
#![allow(dead_code, reason = "the machine is not there yet")]
mod kernel;
#[doc(hidden)]
pub mod probe;

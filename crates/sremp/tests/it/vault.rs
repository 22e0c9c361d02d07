//! Sessions and prekeys as records.

mod bad_input;
mod prekeys;
mod sessions;

//! Strict encodings that several protocols need and none owns.
//!
//! What two readers could understand differently is refused: a JSON object that names a member twice, a base64
//! text with stray bits. No protocol and no key is known here.

pub mod base64;
pub mod json;

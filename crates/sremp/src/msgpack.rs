//! The profile's MessagePack: one strict form of it. SREMP 10.1, profile SR-10.1a to SR-10.1d.
//!
//! Bytes are read in two passes. [`check`] walks them once without building anything: types, UTF-8,
//! depth, claimed lengths, duplicate keys. After it a [`Reader`] decodes the fields a record knows and
//! skips the rest. Numbers are big-endian, as MessagePack has them.

mod check;
mod field;
mod head;
mod reader;
mod record;
mod writer;

pub use check::check;
pub use field::{Blob, Field};
pub use reader::Reader;
pub(crate) use record::record;
pub use record::{Record, decode, encode};
pub use writer::Writer;

/// Containers may nest this deep; the outermost is 1.
pub const MAX_DEPTH: usize = 16;

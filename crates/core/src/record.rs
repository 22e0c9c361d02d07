//! State of a machine at rest: small records under keys, read by a view, changed only by `Save`.
//!
//! A machine reads through [`Records`] and never writes. What must survive it puts out as a list of
//! [`Change`]s; the shell commits the whole list in one transaction, together with what it writes
//! itself, and then tells the machine. So a machine holds in memory only what its open connections
//! need, and a crash leaves exactly what was committed.

use std::fmt;

/// A family of records of one protocol, like `sremp/session`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space(pub &'static str);

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One record to write or to remove.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// Its family.
    pub space: Space,
    /// Its key, unique in the family.
    pub key: Vec<u8>,
    /// The new content, or nothing to remove it.
    pub value: Option<Vec<u8>>,
}

impl fmt::Debug for Change {
    /// Shows where, never what: records hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Change({}, {})", self.space, if self.value.is_some() { "put" } else { "remove" })
    }
}

/// One record found: its key and its content.
pub type Record = (Vec<u8>, Vec<u8>);

/// The records as the machine's last changes left them.
///
/// A shell that gathers several steps into one transaction shows each step the changes of those
/// before it.
pub trait Records {
    /// The record under `key`, if there is one.
    ///
    /// # Errors
    /// The storage below failed.
    fn record(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, RecordFault>;

    /// Up to `limit` records whose key starts with `prefix` and is above `after` (if given), in key order.
    ///
    /// # Errors
    /// The storage below failed.
    fn records(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RecordFault>;

    /// How many records start with `prefix`.
    ///
    /// # Errors
    /// The storage below failed.
    fn count(&self, space: Space, prefix: &[u8]) -> Result<u64, RecordFault>;
}

/// The storage below failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database failed: {0}")]
pub struct RecordFault(pub String);

//! The engine in real files, and the suite on it and on the model.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod crash;
mod embedded;
mod file;
mod model;

use tempfile::TempDir;
use waypost_mailbox::{Capacity, Config, Embedded, conformance::Subject};

/// The engine in a file, in a folder that goes with the test.
struct InFile(TempDir);

impl Subject for InFile {
    type Engine = Embedded;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self, capacity: Capacity) -> Embedded {
        let config = Config { capacity, ..Config::default() };
        Embedded::open(&self.0.path().join("mailboxes.db"), config).unwrap()
    }
}

//! Writes the old database of the tests: `cargo run -p waypost-store --example golden`. Only needed again if the
//! encryption changes; it must stay as the first version left it.
#![allow(clippy::unwrap_used, reason = "a tool stops where it fails")]

use rusqlite::Connection;

fn main() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/0001.db");
    let _ = std::fs::remove_file(path);
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(&format!("PRAGMA key = \"x'{}'\"; PRAGMA journal_mode = WAL;", "07".repeat(32))).unwrap();
    conn.execute_batch(include_str!("../schema/0001_letters.sql")).unwrap();
    conn.execute_batch(include_str!("../tests/golden/0001.sql")).unwrap();
    conn.pragma_update(None, "application_id", 0x5750_5354).unwrap();
    conn.pragma_update(None, "user_version", 1).unwrap();
    conn.close().unwrap();
}

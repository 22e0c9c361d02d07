//! Tests against independent peers.

mod framelink;
mod framelink_faults;
mod framelink_refusals;
mod proofpeer;
mod sremp;
mod sremp_servers;
mod sremp_speak;

use anyhow::Result;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder for `WAYPOST_VECTORS` with the public vectors of a protocol, and where these are in it: a test may spoil them.
fn vectors_copy(protocol: &str) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join(protocol);
    fs::create_dir(&copy)?;
    for file in fs::read_dir(waypost_interop::folder()?.join("../vectors").join(protocol))? {
        let file = file?;
        fs::copy(file.path(), copy.join(file.file_name()))?;
    }
    Ok((folder, copy))
}

//! The beginning of a file, hashed so that it can go on.

use super::message::Digest;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes read at once.
const READ: usize = 128 * 1024;

/// A hash over so many bytes.
#[derive(Clone, Default)]
pub(super) struct Prefix {
    hash: Sha256,
    length: u64,
}

impl Prefix {
    /// Reads the first bytes of a file. It stands behind them then.
    pub(super) fn read(file: &mut (impl Read + Seek), length: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        let mut prefix = Self::default();
        let mut buf = vec![0; READ];
        while prefix.length < length {
            let most = usize::try_from(length - prefix.length).unwrap_or(READ).min(READ);
            let read = file.read(buf.get_mut(..most).unwrap_or_default())?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            prefix.update(buf.get(..read).unwrap_or_default());
        }
        Ok(prefix)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
    }

    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn digest(&self) -> Digest {
        self.hash.clone().finalize().into()
    }
}

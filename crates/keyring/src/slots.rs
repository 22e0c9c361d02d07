//! Keys of other protocols, kept as they are given.

use crate::{Error, encoding::Reader};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Named secrets: at most 64, names of 1..=64 bytes, values of at most 64 KiB and 1 MiB together.
#[derive(Default)]
pub(crate) struct Slots(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl Slots {
    const MAX_COUNT: usize = 64;
    const MAX_NAME: usize = 64;
    const MAX_VALUE: usize = 64 * 1024;
    const MAX_TOTAL: usize = 1024 * 1024;

    pub(crate) fn slot(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(|value| value.as_slice())
    }

    pub(crate) fn set(&mut self, name: &str, value: Zeroizing<Vec<u8>>) -> Result<(), Error> {
        let old = self.0.get(name).map(|value| value.len());
        let total: usize = self.0.values().map(|value| value.len()).sum::<usize>() - old.unwrap_or(0) + value.len();
        if !(1..=Self::MAX_NAME).contains(&name.len()) {
            return Err(Error::Limit("the name of a slot has 1 to 64 bytes"));
        }
        if value.len() > Self::MAX_VALUE || total > Self::MAX_TOTAL {
            return Err(Error::Limit("a slot holds at most 64 KiB, all slots together 1 MiB"));
        }
        if old.is_none() && self.0.len() >= Self::MAX_COUNT {
            return Err(Error::Limit("a keyring has at most 64 slots"));
        }
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    pub(crate) fn clear(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn encoded_len(&self) -> usize {
        2 + self.0.iter().map(|(name, value)| 1 + name.len() + 4 + value.len()).sum::<usize>()
    }

    /// `count u16`, then for each `name length u8, name, value length u32, value`. The bounds of `set` make the
    /// narrow numbers right.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&u16::try_from(self.0.len()).unwrap_or(u16::MAX).to_be_bytes());
        for (name, value) in &self.0 {
            out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(value);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let cut = || Error::Damaged("its slots are cut short");
        let mut slots = Self::default();
        for _ in 0..reader.u16().ok_or_else(cut)? {
            let name_len = reader.u8().ok_or_else(cut)?;
            let name = reader.bytes(usize::from(name_len)).ok_or_else(cut)?;
            let name = std::str::from_utf8(name).map_err(|_| Error::Damaged("the name of a slot is no text"))?;
            let value_len = reader.u32().ok_or_else(cut)?;
            let value = reader.bytes(usize::try_from(value_len).map_err(|_| cut())?).ok_or_else(cut)?;
            if slots.0.contains_key(name) {
                return Err(Error::Damaged("a slot is there twice"));
            }
            slots.set(name, Zeroizing::new(value.to_vec()))?;
        }
        Ok(slots)
    }
}

//! The first pass: whether bytes are one well-formed item, and nothing else.

use super::{MAX_DEPTH, head::Head};
use crate::Error;

/// Checks that `bytes` are exactly one item by the profile's rules, at every depth and under every key,
/// known or not. Keys of maps are text.
///
/// Memory: at most eight bytes for each key of the maps that are open, and nothing else that grows.
///
/// # Errors
/// Malformed, or more than 4 GiB.
pub fn check(bytes: &[u8]) -> Result<(), Error> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(Error::Limit("message"));
    }
    let mut pass = Pass { bytes, input: bytes, open: Vec::with_capacity(MAX_DEPTH), keys: Vec::new() };
    pass.value()?;
    while let Some(container) = pass.open.last_mut() {
        if container.left == 0 {
            pass.close()?;
            continue;
        }
        container.left -= 1;
        if container.is_map {
            pass.key()?;
        }
        pass.value()?;
    }
    if pass.input.is_empty() { Ok(()) } else { Err(Error::Malformed("bytes behind the end")) }
}

struct Pass<'a> {
    bytes: &'a [u8],
    input: &'a [u8],
    open: Vec<Container>,
    /// Where the keys of the open maps are, outermost map first.
    keys: Vec<Key>,
}

struct Container {
    left: usize,
    is_map: bool,
    /// How many keys there were when it was opened.
    first_key: usize,
}

#[derive(Clone, Copy)]
struct Key {
    start: u32,
    end: u32,
}

impl Pass<'_> {
    fn value(&mut self) -> Result<(), Error> {
        let (left, is_map) = match Head::read(&mut self.input)? {
            Head::Array(count) => (count, false),
            Head::Map(count) => (count, true),
            _ => return Ok(()),
        };
        if self.open.len() == MAX_DEPTH {
            return Err(Error::Malformed("nested too deep"));
        }
        self.open.push(Container { left, is_map, first_key: self.keys.len() });
        Ok(())
    }

    fn key(&mut self) -> Result<(), Error> {
        let Head::Str(text) = Head::read(&mut self.input)? else {
            return Err(Error::Malformed("a key that is not text"));
        };
        let end = self.bytes.len() - self.input.len();
        let (Ok(start), Ok(end)) = (u32::try_from(end - text.len()), u32::try_from(end)) else {
            return Err(Error::Limit("message"));
        };
        self.keys.push(Key { start, end });
        Ok(())
    }

    /// Closes the innermost container; no two keys of a map may be equal.
    fn close(&mut self) -> Result<(), Error> {
        let Some(container) = self.open.pop() else { return Ok(()) };
        let bytes = self.bytes;
        let keys = self.keys.get_mut(container.first_key..).unwrap_or_default();
        keys.sort_unstable_by(|a, b| a.text(bytes).cmp(b.text(bytes)));
        if keys.array_windows().any(|[a, b]| a.text(bytes) == b.text(bytes)) {
            return Err(Error::Malformed("a key occurs twice"));
        }
        self.keys.truncate(container.first_key);
        Ok(())
    }
}

impl Key {
    fn text(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bomb(head: &[u8], item: &[u8], length: usize) -> Vec<u8> {
        let mut bytes = head.to_vec();
        while bytes.len() + item.len() <= length {
            bytes.extend_from_slice(item);
        }
        bytes
    }

    /// SR-10.1c
    #[test]
    fn refuses_trailing_and_missing_bytes() {
        assert_eq!(check(&[0x91, 0x01]), Ok(()));
        assert!(check(&[0x91, 0x01, 0x01]).is_err());
        assert!(check(&[0x92, 0x01]).is_err());
        assert!(check(&[]).is_err());
    }

    /// SR-10.1c
    #[test]
    fn finds_equal_keys_in_whatever_length_form() {
        assert!(check(&[0x82, 0xa1, b'a', 0x01, 0xd9, 0x01, b'a', 0x01]).is_err());
        assert_eq!(check(&[0x82, 0xa1, b'a', 0x81, 0xa1, b'a', 0x01, 0xa1, b'b', 0x01]), Ok(()));
    }

    #[test]
    fn takes_a_mebibyte_of_tiny_items_without_memory_for_each() {
        // 2^20 - 5 nils in one array: nothing is kept for them.
        let mut bytes = vec![0xdd, 0x00, 0x0f, 0xff, 0xfb];
        bytes.resize(1 << 20, 0xc0);
        assert_eq!(check(&bytes), Ok(()));
        // Half a million equal keys: eight bytes each, then refused.
        let bytes = bomb(&[0xdf, 0x00, 0x07, 0xff, 0xfd], &[0xa0, 0xc0], 1 << 20);
        assert!(check(&bytes).is_err());
    }

    #[test]
    fn stops_at_the_depth_limit_before_the_stack_does() {
        assert!(check(&[0x91; 1 << 20]).is_err());
        assert!(check(&bomb(&[], &[0x81, 0xa0], 1 << 20)).is_err());
    }

    #[test]
    fn checks_many_distinct_keys_in_reasonable_time() {
        let mut bytes = vec![0xdf, 0x00, 0x01, 0x86, 0xa0];
        for key in 0..100_000u32 {
            bytes.extend_from_slice(&[0xa8]);
            bytes.extend_from_slice(format!("{key:08}").as_bytes());
            bytes.push(0xc0);
        }
        assert_eq!(check(&bytes), Ok(()));
    }
}

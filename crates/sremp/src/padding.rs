//! Padding: content only travels in a few sizes.
//!
//! SREMP profile SR-5d: content | 0x80 | 0x00* to the smallest bucket above its length.

use crate::{Error, ErrorCode};

/// The sizes content can have on the wire.
pub const BUCKETS: [usize; 7] = [256, 1024, 4096, 16384, 61440, 262_144, 983_040];

/// The size content of `length` bytes is padded to; none if it is too long for any.
pub fn bucket(length: usize) -> Option<usize> {
    BUCKETS.into_iter().find(|&bucket| bucket > length)
}

/// Pads what follows the first `start` bytes of `buffer`.
///
/// # Errors
/// [`ErrorCode::TooLarge`] if it does not fit the largest bucket.
pub(crate) fn pad(buffer: &mut Vec<u8>, start: usize) -> Result<(), Error> {
    let length = buffer.len().saturating_sub(start);
    let bucket = bucket(length).ok_or(Error::Refused(ErrorCode::TooLarge))?;
    buffer.push(0x80);
    buffer.resize(start.saturating_add(bucket), 0);
    Ok(())
}

/// The length of the content in `padded`.
///
/// # Errors
/// [`ErrorCode::Decrypt`] if `padded` has no bucket's size or no end marker.
pub(crate) fn unpadded_len(padded: &[u8]) -> Result<usize, Error> {
    if !BUCKETS.contains(&padded.len()) {
        return Err(Error::Crypto(ErrorCode::Decrypt));
    }
    marker(padded).ok_or(Error::Crypto(ErrorCode::Decrypt))
}

/// Where the last byte that is not zero is, if it is the end marker.
pub(crate) fn marker(padded: &[u8]) -> Option<usize> {
    let last = padded.iter().rposition(|&byte| byte != 0)?;
    (padded.get(last) == Some(&0x80)).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_padded_comes_back(content: Vec<u8>, start in 0usize..9) {
            let mut buffer = vec![0xee; start];
            buffer.extend_from_slice(&content);
            pad(&mut buffer, start).unwrap();
            let padded = &buffer[start..];
            prop_assert!(BUCKETS.contains(&padded.len()));
            prop_assert_eq!(unpadded_len(padded), Ok(content.len()));
            prop_assert_eq!(&padded[..content.len()], &content[..]);
        }
    }

    #[test]
    fn the_largest_content_is_one_byte_below_the_largest_bucket() {
        assert_eq!(bucket(983_039), Some(983_040));
        assert_eq!(bucket(983_040), None);
    }
}

//! Base64 without a second way to write the same bytes.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};

/// RFC 4648 section 4, padded.
pub fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// RFC 4648 section 5, without padding.
pub fn encode_url(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// RFC 4648 section 5 without padding and nothing else; trailing bits are zero.
pub fn decode_url(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}

/// Either alphabet but not both, padded fully or not at all; no white space, trailing bits zero.
pub fn decode_any(text: &str) -> Option<Vec<u8>> {
    let url = text.contains(['-', '_']);
    let padded = text.ends_with('=');
    let encoding = match (url, padded) {
        (false, true) => BASE64,
        (false, false) => BASE64_NOPAD,
        (true, true) => BASE64URL,
        (true, false) => BASE64URL_NOPAD,
    };
    encoding.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_each_form_whole_and_none_mixed() {
        for text in ["+/8=", "+/8", "-_8=", "-_8"] {
            assert_eq!(decode_any(text), Some(vec![0xfb, 0xff]), "{text}");
        }
        for text in ["+_8=", "+/9=", "+/8= ", " +/8=", "+/8==", "+/8=\n", "+", "="] {
            assert_eq!(decode_any(text), None, "{text}");
        }
        assert_eq!(decode_url("-_8="), None);
        assert_eq!(decode_url(&encode_url(&[0xfb, 0xff])), Some(vec![0xfb, 0xff]));
    }
}

//! The body of a LETTER: a map per kind, by the same MessagePack rules.

use crate::{
    Error,
    msgpack::{decode as read, encode as write, record},
};
use waypost_core::{Body, LetterId, ReceiptKind};

record! {
    struct Text {
        text: String,
    }

    struct Reply {
        to: LetterId,
        text: String,
    }

    struct Reaction {
        to: LetterId,
        emoji: String,
    }

    struct Edit {
        to: LetterId,
        text: String,
    }

    struct Delete {
        to: LetterId,
    }

    struct Receipt {
        receipt: ReceiptKind,
        letters: Vec<LetterId>,
    }

    struct Profile {
        name: String,
        card: Option<String>,
    }

    struct File {
        name: String,
        size: u64,
        media_type: String,
        sha256: [u8; 32],
    }
}

/// The bytes of a body.
pub(super) fn encode(body: &Body) -> Result<Vec<u8>, Error> {
    Ok(match body.clone() {
        Body::Text { text } => write(&Text { text }),
        Body::Reply { to, text } => write(&Reply { to, text }),
        Body::Reaction { to, emoji } => write(&Reaction { to, emoji }),
        Body::Edit { to, text } => write(&Edit { to, text }),
        Body::Delete { to } => write(&Delete { to }),
        Body::Receipt { receipt, letters } => write(&Receipt { receipt, letters }),
        Body::Profile { name, card } => write(&Profile { name, card }),
        Body::File { name, size, media_type, sha256 } => {
            let sha256 = unhex(&sha256)
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(Error::BadInput("sha256 is not 64 hex digits"))?;
            write(&File { name, size, media_type, sha256 })
        }
        Body::Unknown { bytes, .. } => unhex(&bytes).ok_or(Error::BadInput("bytes are not hex"))?,
        _ => return Err(Error::BadInput("a letter of a kind that SREMP does not carry")),
    })
}

/// The body of a kind; what this version does not know is kept as it came.
pub(super) fn decode(kind: &str, bytes: &[u8]) -> Result<Body, Error> {
    Ok(match kind {
        "text" => read(bytes).map(|Text { text }| Body::Text { text })?,
        "reply" => read(bytes).map(|Reply { to, text }| Body::Reply { to, text })?,
        "reaction" => read(bytes).map(|Reaction { to, emoji }| Body::Reaction { to, emoji })?,
        "edit" => read(bytes).map(|Edit { to, text }| Body::Edit { to, text })?,
        "delete" => read(bytes).map(|Delete { to }| Body::Delete { to })?,
        "receipt" => read(bytes).map(|Receipt { receipt, letters }| Body::Receipt { receipt, letters })?,
        "profile" => read(bytes).map(|Profile { name, card }| Body::Profile { name, card })?,
        "file" => {
            let File { name, size, media_type, sha256 } = read(bytes)?;
            Body::File { name, size, media_type, sha256: to_hex(&sha256) }
        }
        _ => Body::Unknown { name: kind.to_owned(), bytes: to_hex(bytes) },
    })
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use waypost_core::{InviteToken, Letter, Wall};

    #[test]
    fn carries_every_kind_of_letter() {
        let to = LetterId::from_bytes([9; 16]);
        let bodies = [
            Body::Text { text: "hello".into() },
            Body::Reply { to, text: "yes".into() },
            Body::Reaction { to, emoji: String::new() },
            Body::Edit { to, text: "hullo".into() },
            Body::Delete { to },
            Body::Receipt { receipt: ReceiptKind::Delivered, letters: vec![to; 3] },
            Body::Profile { name: "Ada".into(), card: None },
            Body::File { name: "a.png".into(), size: 7, media_type: "image/png".into(), sha256: "0a".repeat(32) },
            Body::Unknown { name: "poll".into(), bytes: "81a161c3".into() },
        ];
        for body in bodies {
            let letter = Letter { id: LetterId::from_bytes([1; 16]), sent: Wall::from_millis(5), body };
            let content = Content::Letter { letter, token: Some(InviteToken([3; 16])) };
            assert_eq!(Content::decode(&content.encode().unwrap()), content);
        }
    }

    #[test]
    fn a_known_kind_with_another_body_is_malformed() {
        assert!(decode("delete", &[0x80]).is_err());
        assert!(decode("text", &[0x81, 0xa4, b't', b'e', b'x', b't', 0x01]).is_err());
        assert!(decode("text", &[0x81, 0xa4, b't', b'e', b'x', b't', 0xa0, 0xc0]).is_err());
    }

    #[test]
    fn ignores_fields_of_later_versions() {
        let bytes = [0x82, 0xa1, b'z', 0x01, 0xa4, b't', b'e', b'x', b't', 0xa1, b'x'];
        assert_eq!(decode("text", &bytes), Ok(Body::Text { text: "x".into() }));
    }
}

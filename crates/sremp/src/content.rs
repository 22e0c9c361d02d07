//! Content: what a ratchet message says (SREMP profile, Messages).
//!
//! TEXT, IDENTITY, RECEIPT, NULL and END are every SREMP client's; LETTER is Waypost's own and goes only to
//! peers whose identity says that they know it.

mod body;

use crate::{
    Error, SignedIdentity,
    msgpack::{Blob, Field, Reader, Record, Writer, record},
};
use waypost_core::{InviteToken, Letter, LetterId, ReceiptKind, Wall};

/// Longest text from anybody, in bytes.
pub const MAX_TEXT: usize = 61_000;
/// Longest text from and to a trusted contact, in bytes.
pub const MAX_TEXT_TRUSTED: usize = 900_000;

/// What a ratchet message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Something to read.
    Text(Text),
    /// The sender's newest identity, not checked yet.
    Identity(SignedIdentity),
    /// What became of texts.
    Receipt(Receipt),
    /// Nothing: keeps a session going.
    Null,
    /// The sender deletes this session.
    End,
    /// A letter of Waypost.
    Letter {
        /// The letter.
        letter: Letter,
        /// Makes the first contact.
        token: Option<InviteToken>,
    },
    /// A name this version does not know: shown as "kind not supported".
    Unknown {
        /// The name.
        name: String,
    },
    /// Not well-formed: confirmed like any other, not shown.
    Malformed,
}

record! {
    /// TEXT.
    pub struct Text {
        /// The message id of its first sending.
        pub id: u64,
        /// The sender's clock.
        pub sent: Wall,
        /// What it says.
        pub text: String,
        /// The id of the text it answers.
        pub reply_to: Option<u64>,
        /// The same letter's id on every wire.
        pub letter: Option<LetterId>,
    }

    /// RECEIPT.
    pub struct Receipt {
        /// What became of them.
        pub kind: ReceiptKind,
        /// Of which texts: their `id`.
        pub message_ids: Vec<u64>,
    }

    struct Empty {}

    struct LetterRecord {
        id: LetterId,
        sent: Wall,
        kind: String,
        body: Blob,
        token: Option<[u8; 16]>,
    }
}

impl Content {
    /// The bytes to seal.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a body this version cannot write, [`Content::Unknown`] and [`Content::Malformed`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(match self {
            Self::Text(text) => message(TEXT, text),
            Self::Identity(identity) => message(IDENTITY, identity),
            Self::Receipt(receipt) => message(RECEIPT, receipt),
            Self::Null => message(NULL, &Empty {}),
            Self::End => message(END, &Empty {}),
            Self::Letter { letter, token } => {
                let record = LetterRecord {
                    id: letter.id,
                    sent: letter.sent,
                    kind: letter.body.kind().to_owned(),
                    body: Blob(body::encode(&letter.body)?),
                    token: token.as_ref().map(|token| token.0),
                };
                message(LETTER, &record)
            }
            Self::Unknown { .. } | Self::Malformed => return Err(Error::BadInput("content of no known kind")),
        })
    }

    /// What opened bytes say. Never fails: what cannot be read must not come back for ever.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or(Self::Malformed)
    }

    fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes)?;
        if reader.map()? != 1 {
            return Err(Error::Malformed("content is a map with one key"));
        }
        let name = reader.str()?;
        Ok(match name {
            TEXT => Self::Text(Field::read(&mut reader)?),
            IDENTITY => Self::Identity(Field::read(&mut reader)?),
            RECEIPT => Self::Receipt(Field::read(&mut reader)?),
            NULL => Empty::read_fields(&mut reader).map(|_| Self::Null)?,
            END => Empty::read_fields(&mut reader).map(|_| Self::End)?,
            LETTER => {
                let record = LetterRecord::read_fields(&mut reader)?;
                let letter =
                    Letter { id: record.id, sent: record.sent, body: body::decode(&record.kind, &record.body)? };
                Self::Letter { letter, token: record.token.map(InviteToken) }
            }
            _ => Self::Unknown { name: name.to_owned() },
        })
    }

    /// How long its text is, in bytes, for [`MAX_TEXT`] and [`MAX_TEXT_TRUSTED`].
    pub fn text_len(&self) -> usize {
        match self {
            Self::Text(text) => text.text.len(),
            Self::Letter { letter, .. } => letter.body.text().map_or(0, str::len),
            _ => 0,
        }
    }
}

const TEXT: &str = "TEXT";
const IDENTITY: &str = "IDENTITY";
const RECEIPT: &str = "RECEIPT";
const NULL: &str = "NULL";
const END: &str = "END";
const LETTER: &str = "LETTER";

fn message(name: &str, value: &impl Record) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.map(1);
    writer.str(name);
    value.write_fields(&mut writer);
    writer.into_bytes()
}

impl Field for ReceiptKind {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        match reader.str()? {
            "delivered" => Ok(Self::Delivered),
            "read" => Ok(Self::Read),
            _ => Err(Error::Malformed("a receipt of no known kind")),
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.str(match self {
            Self::Delivered => "delivered",
            Self::Read => "read",
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let text = Text {
            id: u64::MAX,
            sent: Wall::from_millis(7),
            text: "grüße".into(),
            reply_to: Some(3),
            letter: Some(LetterId::from_bytes([1; 16])),
        };
        let receipt = Receipt { kind: ReceiptKind::Read, message_ids: vec![1, 1 << 40] };
        for content in [Content::Text(text), Content::Receipt(receipt), Content::Null, Content::End] {
            assert_eq!(Content::decode(&content.encode().unwrap()), content);
        }
    }

    #[test]
    fn shows_an_unknown_name_and_swallows_what_is_malformed() {
        assert_eq!(Content::decode(&[0x81, 0xa2, b'H', b'I', 0x01]), Content::Unknown { name: "HI".into() });
        assert_eq!(Content::decode(&[0x81, 0xa4, b'N', b'U', b'L', b'L', 0x01]), Content::Malformed);
        assert_eq!(Content::decode(&[0x81, 0xa4, b'N', b'U', b'L', b'L', 0x80, 0x80]), Content::Malformed);
        assert_eq!(Content::decode(&[]), Content::Malformed);
        let receipt = message(RECEIPT, &Receipt { kind: ReceiptKind::Read, message_ids: vec![] });
        let other = receipt.iter().map(|&byte| if byte == b'r' { b'w' } else { byte }).collect::<Vec<_>>();
        assert_eq!(Content::decode(&other), Content::Malformed);
    }

    #[test]
    fn writes_text_as_the_profile_does() {
        let text = Text { id: 1, sent: Wall::from_millis(2), text: "a".into(), reply_to: None, letter: None };
        let bytes = Content::Text(text).encode().unwrap();
        assert_eq!(hex::encode(bytes), "81a45445585483a2696401a473656e7402a474657874a161");
    }
}

//! The `waypost:` link: a card, signed by its owner, with an invite behind the signature if wanted.
//!
//! ```text
//! waypost:base64url( 1 | contact 32 | noise key 32 | version u64 | issued u64 | name | addresses | signature 64 [| token 16] )
//! ```
//! Text is a length byte and UTF-8; addresses are a count byte and that many texts; numbers are
//! big-endian. The signature is the SREMP identity key's over `waypost card\0` and all before it. The
//! invite is not signed: it is a secret between two people, not a statement.

use crate::Error;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use waypost_core::{Card, ContactId, InviteToken, Wall};
use waypost_sremp::ed25519::{Signature, SigningKey, verify};
use waypost_sremp::identity::check_username;

const SCHEME: &str = "waypost:";
const LABEL: &[u8] = b"waypost card\0";
const FORM: u8 = 1;
/// So that a link fits a QR code that a telephone reads from a screen.
const MAX_LINK: usize = 1024;
/// No wire dials more.
pub(crate) const MAX_ADDRESSES: usize = 6;

/// Writes and signs a card as a link.
///
/// # Errors
/// [`Error::BadInput`] if the card has too many or too long addresses or its name is no username.
pub fn to_link(card: &Card, key: &SigningKey, token: Option<&InviteToken>) -> Result<String, Error> {
    let mut bytes = vec![FORM];
    bytes.extend(card.contact.as_bytes());
    bytes.extend(card.noise_key);
    bytes.extend(card.version.to_be_bytes());
    bytes.extend(card.issued.as_millis().to_be_bytes());
    put_text(&mut bytes, &card.name)?;
    let count = u8::try_from(card.addresses.len()).ok().filter(|&count| usize::from(count) <= MAX_ADDRESSES);
    bytes.push(count.ok_or_else(|| Error::BadInput(format!("a card holds at most {MAX_ADDRESSES} addresses")))?);
    for address in &card.addresses {
        put_text(&mut bytes, &address.to_string())?;
    }
    let signature = key.sign(&[LABEL, &bytes].concat());
    bytes.extend(signature.0);
    if let Some(token) = token {
        bytes.extend(token.0);
    }
    let link = format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(bytes));
    if link.len() > MAX_LINK {
        return Err(Error::BadInput("the addresses are too long for a card".into()));
    }
    Ok(link)
}

/// Reads a link and checks its signature.
///
/// # Errors
/// [`Error::BadInput`] if it is no such link, [`Error::Security`] if the signature does not hold.
pub fn from_link(link: &str) -> Result<(Card, Option<InviteToken>), Error> {
    let damaged = || Error::BadInput("this is not a whole waypost: link; copy it again".into());
    let text = link.trim().strip_prefix(SCHEME).filter(|text| text.len() <= MAX_LINK).ok_or_else(damaged)?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?;
    let mut rest = bytes.as_slice();
    if take::<1>(&mut rest) != Some([FORM]) {
        return Err(Error::BadInput("this link is of a newer form; update Waypost to read it".into()));
    }
    let card = read_card(&mut rest).ok_or_else(damaged)?;
    let signed = bytes.len() - rest.len();
    let signature = Signature(take(&mut rest).ok_or_else(damaged)?);
    let token = match rest.len() {
        0 => None,
        _ => Some(InviteToken(take(&mut rest).filter(|_| rest.is_empty()).ok_or_else(damaged)?)),
    };
    let content = [LABEL, bytes.get(..signed).unwrap_or_default()].concat();
    verify(&card.contact, &content, &signature)
        .map_err(|_| Error::Security("the card's signature does not hold: somebody changed it".into()))?;
    check_username(&card.name).map_err(|_| damaged())?;
    Ok((card, token))
}

fn read_card(rest: &mut &[u8]) -> Option<Card> {
    let contact = ContactId::from_bytes(take(rest)?);
    let noise_key = take(rest)?;
    let version = u64::from_be_bytes(take(rest)?);
    let issued = Wall::from_millis(u64::from_be_bytes(take(rest)?));
    let name = take_text(rest)?;
    let [count] = take(rest)?;
    if usize::from(count) > MAX_ADDRESSES {
        return None;
    }
    // An address of a wire this version does not know is passed over: the others still work.
    let mut addresses = Vec::new();
    for _ in 0..count {
        addresses.extend(take_text(rest)?.parse().ok());
    }
    Some(Card { contact, name, noise_key, version, issued, addresses })
}

fn put_text(bytes: &mut Vec<u8>, text: &str) -> Result<(), Error> {
    let length = u8::try_from(text.len()).map_err(|_| Error::BadInput(format!("\"{text}\" is too long for a card")))?;
    bytes.push(length);
    bytes.extend(text.as_bytes());
    Ok(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let [length] = take(rest)?;
    let (taken, left) = rest.split_at_checked(usize::from(length))?;
    *rest = left;
    String::from_utf8(taken.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(key: &SigningKey) -> Card {
        Card {
            contact: key.public(),
            name: "Alice".into(),
            noise_key: [3; 32],
            version: 5,
            issued: Wall::from_millis(6),
            addresses: vec!["sremp://alice.example:7300".parse().unwrap()],
        }
    }

    #[test]
    fn reads_back_what_it_writes() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let token = InviteToken([9; 16]);
        for token in [None, Some(&token)] {
            let link = to_link(&card(&key), &key, token).unwrap();
            assert_eq!(from_link(&format!(" {link}\n")).unwrap(), (card(&key), token.cloned()));
        }
    }

    #[test]
    fn refuses_a_link_with_any_byte_changed_or_cut() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let link = to_link(&card(&key), &key, None).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&link[SCHEME.len()..]).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(from_link(&format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(changed))).is_err(), "byte {at}");
            assert!(from_link(&format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(&bytes[..at]))).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn refuses_a_card_signed_by_somebody_else() {
        let link = to_link(&card(&SigningKey::from_bytes(&[1; 32])), &SigningKey::from_bytes(&[2; 32]), None).unwrap();
        assert!(matches!(from_link(&link), Err(Error::Security(_))));
    }
}

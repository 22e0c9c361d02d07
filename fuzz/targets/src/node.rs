//! Decoders of `waypost-node`: what people paste and programs ask.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use waypost_core::RelayAddress;
use waypost_node::{Call, card, servers::Uri};
use waypost_sremp::{ed25519::SigningKey, rendezvous::ServerUri};

/// Who signs the cards of the target, so that the fuzzer gets behind the signature.
pub const SIGNER: [u8; 32] = [8; 32];
const LABEL: &[u8] = b"waypost card\0";

/// A `waypost:` link, or the signed part of a card: what is read is written so that it reads back the same.
pub fn card(data: &[u8]) {
    let signer = SigningKey::from_bytes(&SIGNER);
    if let Ok(text) = str::from_utf8(data) {
        link(text, &signer);
    }
    let signature = signer.sign(&[LABEL, data].concat());
    link(&format!("waypost:{}", URL_SAFE_NO_PAD.encode([data, &signature.0].concat())), &signer);
}

fn link(text: &str, signer: &SigningKey) {
    let Ok((card, token)) = card::from_link(text) else { return };
    if card.contact == signer.public() {
        // An address may be longer in its one form than as it was written, and then not fit.
        if let Ok(written) = card::to_link(&card, signer, token.as_ref()) {
            assert!(card::from_link(&written).is_ok_and(|read| read == (card, token)));
        }
    }
}

/// A call of a local program: the method's name, a line end, its parameters as JSON.
pub fn call(data: &[u8]) {
    let Some((name, params)) = str::from_utf8(data).ok().and_then(|text| text.split_once('\n')) else { return };
    if let Ok(params) = serde_json::from_str(params)
        && let Ok(call) = Call::parse(name, params)
    {
        assert_eq!(call.name(), name);
    }
}

/// Servers as a person pastes them: what is read, reads back the same from what it shows, with and without what
/// the kind of server adds to its address.
pub fn server_uri(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(uri) = text.parse::<Uri>() {
        assert_eq!(uri.to_string().parse::<Uri>().ok(), Some(uri));
    }
    // One text each.
    if let Ok(server) = text.parse::<ServerUri>() {
        assert_eq!(server.to_string(), text);
    }
    if let Ok(relay) = text.parse::<RelayAddress>() {
        assert_ne!(relay.at.port, 0);
        assert_eq!(relay.to_string().parse::<RelayAddress>().as_ref(), Ok(&relay));
    }
}

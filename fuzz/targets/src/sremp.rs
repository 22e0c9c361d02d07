//! Decoders of `waypost-sremp`.

use waypost_sremp::{
    Invitation, Message, SignedIdentity, TrustRow,
    content::Content,
    ed25519::SigningKey,
    endpoint::{Endpoint, Host},
    msgpack::Blob,
    verification::VerificationCode,
};

/// Who signs the identities of the target, so that the fuzzer gets behind the signature.
pub const SIGNER: [u8; 32] = [7; 32];

/// Messages of the wire: what is read is written shorter or as long, and reads back the same.
pub fn message(data: &[u8]) {
    let Ok(message) = Message::decode(data) else { return };
    let written = message.encode();
    assert!(written.len() <= data.len());
    assert_eq!(Message::decode(&written).as_ref(), Ok(&message));
    if let Message::Identity(identity) = &message {
        verify(identity);
    }
}

/// The signed bytes of an identity, under a signature that holds as long as they name the signer.
pub fn identity(data: &[u8]) {
    let signature = SigningKey::from_bytes(&SIGNER).sign(&[b"SREMP/1 identity\0", data].concat());
    verify(&SignedIdentity { verified: Blob(data.to_vec()), signature });
}

/// What holds is passed on exactly as it came, and keeps its limits.
fn verify(signed: &SignedIdentity) {
    let Ok(identity) = signed.verify() else { return };
    assert_eq!(identity.signed(), signed);
    assert!((1..=40).contains(&identity.username().chars().count()));
    assert!(identity.relays().len() <= 3);
    assert!(identity.picture().is_none_or(|picture| picture.len() <= 8192));
}

/// Endpoints: one text each, so what is read shows itself as it was written.
pub fn endpoint(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(endpoint) = text.parse::<Endpoint>() {
        assert_eq!(endpoint.to_string(), text);
        assert_eq!(endpoint.to_wire().check().as_ref(), Ok(&endpoint));
    }
    if let Ok(host) = text.parse::<Host>() {
        assert_eq!(host.to_string(), text);
    }
}

/// Invitations and codes to scan: what is read is shown, perhaps shorter, and reads back the same.
pub fn invitation(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(invitation) = text.parse::<Invitation>() {
        let shown = invitation.to_string();
        assert!(shown.len() <= text.len());
        assert_eq!(shown.parse::<Invitation>().as_ref(), Ok(&invitation));
    }
    if let Ok(code) = text.parse::<VerificationCode>() {
        assert_eq!(code.to_string().parse::<VerificationCode>(), Ok(code));
    }
}

/// The record of a contact: what is read is written so that it reads back the same.
pub fn trust_row(data: &[u8]) {
    if let Ok(row) = TrustRow::decode(data) {
        assert_eq!(TrustRow::decode(&row.encode()).as_ref(), Ok(&row));
    }
}

/// What a ratchet message says: what can be written again reads back the same.
pub fn content(data: &[u8]) {
    let content = Content::decode(data);
    assert!(content.text_len() <= data.len());
    if let Ok(written) = content.encode() {
        assert_eq!(Content::decode(&written), content);
    }
}

//! The test vectors of the profile, or others of the same form (`WAYPOST_VECTORS`); what needs cryptography runs with
//! both kinds of it.

mod channels;
mod derive;
mod envelopes;
mod keys;
mod presence;
mod sequences;
mod tokens;

use waypost_codec::json::{self, Value};
use waypost_proofpeer::Crypto;
use waypost_testkit::vectors;

/// Every file of the vectors has a runner, and every runner its file.
#[test]
fn no_file_is_passed_over() {
    waypost_testkit::vectors::assert_all_files_have_runners(
        "proofpeer",
        &[
            "ack.json",
            "channel.json",
            "derive.json",
            "envelopes.json",
            "frames.json",
            "handshake.json",
            "jwt.json",
            "keys.json",
            "murmur3.json",
            "presence.json",
            "replay.json",
            "session.json",
        ],
    );
}

/// Both cryptographies.
fn cryptos() -> [Crypto; 2] {
    [Crypto::native(), Crypto::danger_pure_with_leaky_private_rsa()]
}

/// A part of a case as the file has it, members in their order: what is signed depends on it.
fn in_order(file: &str, id: &str, path: &str) -> Value {
    let top = json::parse(&vectors::raw("proofpeer", file), 64).unwrap();
    let cases = top.as_object().unwrap().get("cases").and_then(Value::as_array).unwrap();
    let is_it = |case: &&Value| case.as_object().unwrap().get("id").and_then(Value::as_str) == Some(id);
    let case = cases.iter().find(is_it).unwrap();
    path.split('.').fold(case, |value, name| value.as_object().unwrap().get(name).unwrap()).clone()
}

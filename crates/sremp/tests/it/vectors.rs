//! The test vectors of the profile, or others of the same form (`WAYPOST_VECTORS`).

mod chunks;
mod identity;
mod msgpack;
mod noise;
mod pqxdh;
mod ratchet;
mod relay;
mod rendezvous;
mod selection;
mod verification;

use waypost_sremp::{
    Message,
    message::{self, ErrorMessage},
};

/// Every file of the vectors has a runner, and every runner its file.
#[test]
fn no_file_is_passed_over() {
    waypost_testkit::vectors::assert_all_files_have_runners(
        "sremp",
        &[
            "chunks.json",
            "identity.json",
            "msgpack.json",
            "noise.json",
            "pqxdh.json",
            "ratchet.json",
            "relay.json",
            "rendezvous.json",
            "selection.json",
            "verification.json",
        ],
    );
}

/// Checks that an answer is the expected one. When to try again and words for logs may differ: the README
/// of the vectors says so.
fn assert_answers(answer: &Message, expected: &[u8], place: &str) {
    if answer.encode() == expected {
        return;
    }
    let plain = |message: Message| match message {
        Message::Error(error) => Message::Error(ErrorMessage { retry_after_s: None, detail: None, ..error }),
        Message::StoreResponse(response) => {
            Message::StoreResponse(message::StoreResponse { retry_after_s: None, ..response })
        }
        other => other,
    };
    let expected = Message::decode(expected).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(
        plain(answer.clone()).encode(),
        plain(expected.clone()).encode(),
        "{place}: {answer:?}, not {expected:?}"
    );
}

/// The name of the error a case must end with.
fn code<T>(result: Result<T, waypost_sremp::Error>) -> Result<T, &'static str> {
    result.map_err(|error| error.code().name())
}

/// Checks that a result is an error of this name.
fn assert_error<T>(result: Result<T, waypost_sremp::Error>, name: &str, place: &str) {
    match result {
        Ok(_) => panic!("{place}: {name} expected, but it went well"),
        Err(error) => assert_eq!(error.code().name(), name, "{place}: {error}"),
    }
}

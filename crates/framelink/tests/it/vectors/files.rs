//! `files.json`: key lines and block files.

use waypost_framelink::{Block, Psk};
use waypost_testkit::vectors::{self, Outcome};

/// FL-5.1, FL-7.2
#[test]
fn key_and_block_files_are_read_as_stated() {
    for case in vectors::load("framelink", "files.json") {
        let input = case.input();
        input.only(&["run", "text", "block"]);
        let read = match input.opt_str("text") {
            Some(text) => Psk::from_line(text).map(|psk| hex::encode(psk.as_bytes())),
            None => Block::from_file(&input.hex("block")).map(|block| block.id()),
        };
        match (case.outcome(), read) {
            (Outcome::Expect(expect), Ok(read)) => {
                expect.only(&["psk", "block_id"]);
                assert_eq!(read, expect.opt_str("psk").unwrap_or_else(|| expect.str("block_id")), "{case}");
                if let Some(text) = input.opt_str("text") {
                    assert_eq!(*Psk::from_line(text).unwrap().to_line(), text.trim(), "{case}");
                }
            }
            (Outcome::Error(name), Err(fault)) => assert_eq!(fault.name(), name, "{case}"),
            (outcome, read) => panic!("{case}: {read:?}, not {outcome:?}"),
        }
    }
}

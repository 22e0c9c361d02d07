//! The test vectors of the profile, or others of the same form (`WAYPOST_VECTORS`).

mod files;
mod forgery;
mod frames;
mod handshake;
mod script;

use waypost_framelink::{Align, Block, Framing, MacInit, Mode, Role, Settings};
use waypost_testkit::vectors::Part;

/// Every file of the vectors has a runner, and every runner its file.
#[test]
fn no_file_is_passed_over() {
    waypost_testkit::vectors::assert_all_files_have_runners(
        "framelink",
        &[
            "bad_frames.json",
            "files.json",
            "forgery.json",
            "frames.json",
            "handshake_hybrid.json",
            "handshake_psk.json",
            "header.json",
            "keyed.json",
            "mac.json",
            "recv.json",
            "rekey.json",
            "sequence.json",
        ],
    );
}

/// Reads the options of a case; those left out have their default.
fn settings(options: Option<Part<'_>>) -> Settings {
    let mut settings = Settings::default();
    let Some(options) = options else { return settings };
    options.only(&[
        "align",
        "mac_init",
        "seq_wrap",
        "max_frame",
        "credit",
        "rekey_frames",
        "rekey_blocks",
        "start_seq",
    ]);
    let number = |name: &str| options.opt_u64(name);
    let word = |name: &str| number(name).map(|value| u32::try_from(value).expect("32 bits"));
    settings.framing = Framing {
        align: match options.opt_str("align") {
            None | Some("block") => Align::Block,
            Some("stream") => Align::Stream,
            Some(other) => panic!("align {other}"),
        },
        mac_init: match options.opt_str("mac_init") {
            None | Some("secret") => MacInit::Secret,
            Some("standard") => MacInit::Standard,
            Some(other) => panic!("mac_init {other}"),
        },
        wraps_to_one: number("seq_wrap").unwrap_or(0) == 1,
        first_seq: word("start_seq").unwrap_or(1),
    };
    let limits = &mut settings.limits;
    limits.max_frame = word("max_frame").unwrap_or(limits.max_frame);
    limits.credit = word("credit").unwrap_or(limits.credit);
    limits.rekey_frames = number("rekey_frames").unwrap_or(limits.rekey_frames);
    limits.rekey_blocks = number("rekey_blocks").unwrap_or(limits.rekey_blocks);
    settings
}

fn role(part: &Part<'_>) -> Role {
    match part.str("role") {
        "top" => Role::Top,
        "bottom" => Role::Bottom,
        other => panic!("role {other}"),
    }
}

fn mode(name: &str) -> Mode {
    match name {
        "raw" => Mode::Raw,
        "psk" => Mode::Psk,
        "hybrid" => Mode::Hybrid,
        other => panic!("mode {other}"),
    }
}

fn block(part: &Part<'_>) -> Block {
    Block::from_file(&part.hex("block")).expect("a block")
}

/// A 32-bit number as eight hex digits.
fn word(part: &Part<'_>, name: &str) -> u32 {
    u32::from_str_radix(part.str(name), 16).expect("eight hex digits")
}

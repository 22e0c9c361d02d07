//! `frames.json`, `sequence.json`, `rekey.json`, `mac.json`, `header.json`: what leaves, byte for byte.

use super::{block, role, script, settings, word};
use waypost_framelink::{Chain, Header, Opener, Progress, Sealer, code};
use waypost_testkit::vectors::{self, Case, Outcome, Part};

/// FL-2.2, FL-2.3, FL-2.9, FL-2.10, FL-2.11: whole directions, sealed frame by frame and opened again.
#[test]
fn frames_are_sealed_as_stated() {
    for case in vectors::load("framelink", "frames.json") {
        sealed(&case);
    }
}

/// FL-0.5, FL-0.6: SEQ at its limit.
#[test]
fn sequence_numbers_wrap_as_stated() {
    for case in vectors::load("framelink", "sequence.json") {
        match case.str("input.run") {
            "sequence" => sealed(&case),
            "recv" => script::run(&case),
            _ => case.unknown_shape(),
        }
    }
}

/// FL-6.3: the next half block.
#[test]
fn keys_are_renewed_as_stated() {
    for case in vectors::load("framelink", "rekey.json") {
        let (input, expect) = (case.input(), case.expect());
        input.only(&["run", "block", "role", "options", "frames"]);
        expect.only(&["wire", "state", "next_seq", "K", "C0", "R"]);
        let framing = settings(input.opt("options")).framing;
        let (block, role) = (block(&input), role(&input));
        let (mut sealer, mut opener) = (Sealer::new(&block, role, framing), Opener::new(&block, role, framing));
        for (frame, wire) in input.at("frames").list("").iter().zip(expect.at("wire").list("")) {
            let mut sealed = Vec::new();
            match frame.opt_array::<32>("r") {
                Some(r) => sealer.rekey(&r, &mut sealed).unwrap(),
                None => sealer.seal(code::DATA, &frame.hex("payload"), &mut sealed).unwrap(),
            }
            assert_eq!(hex::encode(&sealed), wire.str(""), "{case}");
            let payload = frame.opt_hex("r").unwrap_or_else(|| frame.hex("payload"));
            open(&mut opener, &sealed, &payload, &case);
            if let Some(r) = frame.opt_array::<32>("r") {
                opener.turn(&r);
            }
        }
        assert_eq!(sealer.chain().to_bytes().to_vec(), expect.hex("state"), "{case}");
        assert_eq!(sealer.next_seq(), number(&expect, "next_seq"), "{case}");
        let keys = sealer.key_material();
        for (key, name) in keys.iter().zip(["K", "C0", "R"]) {
            assert_eq!(key, &expect.hex(name), "{case}: {name}");
        }
    }
}

/// FL-2.9, FL-2.10: the chained hash alone.
#[test]
fn tags_are_cut_as_stated() {
    for case in vectors::load("framelink", "mac.json") {
        let (input, expect) = (case.input(), case.expect());
        input.only(&["run", "state", "header_payload"]);
        expect.only(&["state", "hmac"]);
        let mut chain = Chain::from_bytes(&input.array("state"));
        let tag = chain.tag(&input.hex("header_payload"));
        assert_eq!(tag.to_vec(), expect.hex("hmac"), "{case}");
        assert_eq!(chain.to_bytes().to_vec(), expect.hex("state"), "{case}");
    }
}

/// FL-2.6, FL-2.7, FL-2.13, FL-3.4: headers as they travel, and the checks on arrival.
#[test]
fn headers_are_written_and_judged_as_stated() {
    for case in vectors::load("framelink", "header.json") {
        let input = case.input();
        if input.has("fields") {
            let fields = input.at("fields");
            let header =
                Header { length: word(&fields, "LENGTH"), code: word(&fields, "CODE"), seq: word(&fields, "SEQ") };
            assert_eq!(header.encode().to_vec(), case.expect().hex("header"), "{case}");
            assert_eq!(Header::decode(&header.encode()), Ok(header), "{case}");
            continue;
        }
        input.only(&["run", "header", "expect_seq", "max_frame"]);
        let (seq, max_frame) = (number(&input, "expect_seq"), number(&input, "max_frame"));
        let judged =
            Header::decode(&input.array("header")).and_then(|header| header.check(seq, max_frame).map(|()| header));
        match (case.outcome(), judged) {
            (Outcome::Expect(expect), Ok(header)) => {
                let words = [header.length, header.code, header.seq];
                let expected = ["LENGTH", "CODE", "SEQ"].map(|name| word(&expect, name));
                assert_eq!(words, expected, "{case}");
            }
            (Outcome::Error(name), Err(fault)) => assert_eq!(fault.name(), name, "{case}"),
            (outcome, judged) => panic!("{case}: {judged:?}, not {outcome:?}"),
        }
    }
}

/// A number, or eight hex digits.
fn number(part: &Part<'_>, name: &str) -> u32 {
    match part.at(name).value().as_u64() {
        Some(number) => u32::try_from(number).expect("32 bits"),
        None => word(part, name),
    }
}

fn sealed(case: &Case) {
    let (input, expect) = (case.input(), case.expect());
    input.only(&["run", "block", "role", "options", "frames"]);
    expect.only(&["wire", "state", "next_counter", "next_offset", "next_seq"]);
    let framing = settings(input.opt("options")).framing;
    let (block, role) = (block(&input), role(&input));
    let (mut sealer, mut opener) = (Sealer::new(&block, role, framing), Opener::new(&block, role, framing));
    let frames = input.at("frames").list("");
    let wires = expect.at("wire").list("");
    assert_eq!(frames.len(), wires.len(), "{case}");
    for (frame, wire) in frames.iter().zip(wires) {
        let (payload, mut sealed) = (frame.hex("payload"), Vec::new());
        sealer.seal(word(frame, "code"), &payload, &mut sealed).unwrap();
        assert_eq!(hex::encode(&sealed), wire.str(""), "{case}");
        open(&mut opener, &sealed, &payload, case);
    }
    assert_eq!(sealer.chain().to_bytes().to_vec(), expect.hex("state"), "{case}");
    let (counter, offset) = sealer.next_counter();
    assert_eq!(counter.to_vec(), expect.hex("next_counter"), "{case}");
    assert_eq!(offset as u64, expect.u64("next_offset"), "{case}");
    let next_seq = expect.at("next_seq");
    assert_eq!(sealer.next_seq(), number(&next_seq, ""), "{case}");
}

/// The same frame from the other side, in two pieces.
fn open(opener: &mut Opener, sealed: &[u8], payload: &[u8], case: &Case) {
    let (head, mut tail) = sealed.split_at(sealed.len() / 3);
    let (mut head, mut opened) = (head, false);
    for input in [&mut head, &mut tail] {
        while !input.is_empty() {
            match opener.push(input) {
                Ok(Progress::Frame(_)) => opened = true,
                Ok(_) => {}
                Err(fault) => panic!("{case}: {fault}"),
            }
        }
    }
    assert!(opened, "{case}");
    assert_eq!(opener.payload(), payload, "{case}");
}

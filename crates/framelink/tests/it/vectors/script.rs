//! `recv.json`, `bad_frames.json`, `keyed.json`: what a side makes of bytes, step by step.

use super::{block, mode, role, settings};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use waypost_core::Now;
use waypost_framelink::{
    Block, Error, Fault, Link, Opener, Progress, Role, Settings,
    establish::Established,
    link::{Input, Output, Received, Status},
};
use waypost_testkit::vectors::{self, Case, Outcome};

/// FL-3.2, FL-3.5, FL-3.6, FL-3.7: sanctified reads.
#[test]
fn reads_end_as_stated() {
    for case in vectors::load("framelink", "recv.json") {
        run(&case);
    }
}

/// FL-2.7, FL-2.9, FL-3.4, FL-3.5: damaged frames.
#[test]
fn bad_frames_end_a_link_as_stated() {
    for case in vectors::load("framelink", "bad_frames.json") {
        run(&case);
    }
}

/// FL-6.1 to FL-6.10: control codes, credit, CLOSE.
#[test]
fn keyed_links_behave_as_stated() {
    for case in vectors::load("framelink", "keyed.json") {
        run(&case);
    }
}

/// One side of a link that a script is played to.
struct Side {
    link: Link,
    rng: StdRng,
    wire: Vec<u8>,
    results: Vec<Value>,
}

/// Plays a case and compares what came of it.
pub(super) fn run(case: &Case) {
    let input = case.input();
    input.only(&["run", "block", "role", "mode", "options", "events", "th"]);
    let (settings, block, role) = (settings(input.opt("options")), block(&input), role(&input));
    let mode = mode(input.opt_str("mode").unwrap_or("raw"));
    let mut rng = StdRng::seed_from_u64(7);
    let link = if mode.is_keyed() {
        let established = Established { block: block.clone(), th: input.array("th"), mode, psk: 0 };
        Link::established(Now::default(), &mut rng, &established, role, settings.clone())
    } else {
        Link::raw(Now::default(), &block, role, settings.clone())
    };
    let mut side = Side { link: link.unwrap(), rng, wire: Vec::new(), results: Vec::new() };
    side.drain();
    let mut outcome = Ok(());
    for event in input.at("events").list("") {
        outcome = outcome.and_then(|()| {
            if let Some(bytes) = event.opt_hex("deliver") {
                side.input(Input::Bytes(&bytes))
            } else if event.has("eof") {
                side.input(Input::Eof)
            } else if event.has("close") {
                side.input(Input::Close)
            } else if let Some(payload) = event.opt_hex("send") {
                let code = event.opt_str("code").map_or(0, |code| u32::from_str_radix(code, 16).unwrap());
                side.input(Input::Send { code, payload })
            } else if let Some(length) = event.opt_u64("recv") {
                side.recv(usize::try_from(length).unwrap());
                Ok(())
            } else {
                case.unknown_shape();
            }
        });
    }
    match (case.outcome(), outcome) {
        (Outcome::Error(name), Err(error)) => assert_eq!(error.fault().name(), name, "{case}"),
        (Outcome::Expect(expect), Ok(())) => {
            expect.only(&["results", "sent", "sent_wire"]);
            assert_eq!(&Value::Array(side.results), expect.at("results").value(), "{case}");
            let sent = opened(&block, role, &settings, &side.wire);
            assert_eq!(&Value::Array(sent), expect.at("sent").value(), "{case}");
            assert_eq!(hex::encode(side.wire), expect.str("sent_wire"), "{case}");
        }
        (outcome, result) => panic!("{case}: {result:?}, not {outcome:?}"),
    }
}

impl Side {
    fn input(&mut self, input: Input<'_>) -> Result<(), Error> {
        self.link.handle(Now::default(), &mut self.rng, input)?;
        self.drain();
        self.link.handle(Now::default(), &mut self.rng, Input::Flushed)
    }

    fn recv(&mut self, length: usize) {
        let mut buf = vec![0xaa; length];
        let received = self.link.recv(Now::default(), &mut self.rng, &mut buf);
        self.drain();
        if !matches!(received.status, Status::Full | Status::Boundary) {
            assert!(buf[received.n..].iter().all(|&byte| byte == 0), "unverified bytes are left");
        }
        self.results.push(shown(&received, &buf));
    }

    fn drain(&mut self) {
        while let Some(output) = self.link.poll() {
            if let Output::Send(bytes) = output {
                self.wire.extend(bytes);
            }
        }
    }
}

fn shown(received: &Received, buf: &[u8]) -> Value {
    let frames: Vec<_> = received
        .frames
        .iter()
        .map(|frame| json!([format!("{:08x}", frame.code), format!("{:08x}", frame.seq), frame.length]))
        .collect();
    let mut value = json!({
        "n": received.n,
        "data": hex::encode(&buf[..received.n]),
        "frames": frames,
        "status": received.status.name(),
    });
    match received.status {
        Status::Violation(fault) => value["kind"] = fault.name().into(),
        Status::PeerError(code) => value["kind"] = code.into(),
        Status::TooSmall(length) => value["len"] = length.into(),
        _ => {}
    }
    value
}

/// Code and payload of the frames that were sent.
fn opened(block: &Block, role: Role, settings: &Settings, mut wire: &[u8]) -> Vec<Value> {
    let mut opener = Opener::new(block, role, settings.framing);
    let mut frames = Vec::new();
    while !wire.is_empty() {
        match opener.push(&mut wire) {
            Ok(Progress::Frame(header)) => {
                frames.push(json!({"code": format!("{:08x}", header.code), "payload": hex::encode(opener.payload())}))
            }
            Ok(_) => {}
            Err(fault @ Fault::Hmac) => panic!("what was sent does not hold: {fault}"),
            Err(fault) => panic!("what was sent makes no sense: {fault}"),
        }
    }
    frames
}

//! `waypost speak sremp` against the independent peer, in both roles.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Result, ensure};
use serde_json::json;
use waypost_interop::speak::Speak;
use waypost_interop::sremp::{Pair, say};
use waypost_interop::{Event, Peer, Transcript};

use crate::sremp::python;

/// Seeds of ours; which of two identity keys is lower shows when they meet.
const SEEDS: [u8; 6] = [1, 2, 3, 4, 5, 6];

/// One pair of each order of identity keys.
fn both_orders(connect: impl Fn(u8) -> Result<Pair>) -> Result<[Pair; 2]> {
    let (mut lower, mut higher) = (None, None);
    for seed in SEEDS {
        let pair = connect(seed)?;
        let place = if pair.listener_is_lower { &mut lower } else { &mut higher };
        *place = Some(pair);
        if let (Some(_), Some(_)) = (&lower, &higher) {
            break;
        }
    }
    match (lower, higher) {
        (Some(lower), Some(higher)) => Ok([lower, higher]),
        _ => anyhow::bail!("all seeds give keys on one side"),
    }
}

#[test]
fn we_dial_the_python_peer_and_talk_whichever_key_is_lower() -> Result<()> {
    let (python, speak) = (python()?, Speak::prepare()?);
    for mut pair in both_orders(|seed| Pair::connect(python.listen(100), |ready| speak.dial(seed, ready)))? {
        pair.talk()?;
        pair.part()?;
    }
    Ok(())
}

#[test]
fn the_python_peer_dials_us_and_we_talk_whichever_key_is_lower() -> Result<()> {
    let (python, speak) = (python()?, Speak::prepare()?);
    for mut pair in both_orders(|seed| Pair::connect(speak.listen(seed), |ready| python.dial(100, ready)))? {
        pair.talk()?;
        pair.part()?;
    }
    Ok(())
}

#[test]
fn two_of_ours_talk() -> Result<()> {
    let speak = Speak::prepare()?;
    let mut pair = Pair::connect(speak.listen(1), |ready| speak.dial(2, ready))?;
    pair.talk()?;
    pair.part()
}

#[test]
fn receipts_and_replies_name_the_right_texts() -> Result<()> {
    let (python, speak) = (python()?, Speak::prepare()?);
    let pairs = [
        Pair::connect(speak.listen(1), |ready| python.dial(100, ready))?,
        Pair::connect(python.listen(100), |ready| speak.dial(1, ready))?,
    ];
    for pair in pairs {
        let Pair { mut listener, mut dialler, .. } = pair;
        for turn in 0..2 {
            let (from, to) = if turn == 0 { (&mut dialler, &mut listener) } else { (&mut listener, &mut dialler) };
            from.send(&json!({"cmd": "send", "text": "question"}))?;
            let question = to.expect("text")?;
            from.expect("confirmed")?;
            to.send(&json!({"cmd": "receipt", "kind": "read", "message_ids": [question.text("id")?]}))?;
            let receipt = from.expect("receipt")?;
            ensure!(receipt.field("kind") == "read", "{receipt}");
            ensure!(receipt.field("message_ids")[0] == *question.field("id"), "{receipt} is not about {question}");
            to.send(&json!({"cmd": "send", "text": "answer", "reply_to": question.text("id")?}))?;
            let answer = from.expect("text")?;
            ensure!(answer.id("reply_to")? == question.id("id")?, "{answer} does not answer {question}");
            to.expect("confirmed")?;
        }
        dialler.send(&json!({"cmd": "close"}))?;
        dialler.finish_well()?;
        listener.expect("closed")?;
        listener.finish_well()?;
    }
    Ok(())
}

#[test]
fn a_peer_that_lost_its_sessions_is_heard_again() -> Result<()> {
    let (python, speak) = (python()?, Speak::prepare()?);
    type Dial<'a> = &'a dyn Fn(&Event) -> Result<std::process::Command>;
    let (we_dial, python_dials) = (|ready: &Event| speak.dial(1, ready), |ready: &Event| python.dial(100, ready));
    let cases: [(_, Dial<'_>); 2] = [(python.listen(100), &we_dial), (speak.listen(1), &python_dials)];
    for (listen, dial) in cases {
        let transcript = Transcript::new();
        let mut listener = Peer::spawn("listener", listen, &transcript)?;
        let ready = listener.expect("ready")?;
        for round in ["first", "second"] {
            let mut dialler = Peer::spawn(round, dial(&ready)?, &transcript)?;
            say(&mut dialler, &mut listener, round)?;
            say(&mut listener, &mut dialler, round)?;
            dialler.send(&json!({"cmd": "close"}))?;
            dialler.finish_well()?;
            listener.expect("closed")?;
        }
        listener.finish_well()?;
    }
    Ok(())
}

#[test]
fn we_refuse_another_noise_key_or_identity_than_we_dialled() -> Result<()> {
    let (python, speak) = (python()?, Speak::prepare()?);
    for (field, code) in [("noise_key", "noise_key_mismatch"), ("identity_key", "auth")] {
        let transcript = Transcript::new();
        let mut listener = Peer::spawn("listener", python.listen(100), &transcript)?;
        let ready = listener.expect("ready")?.with(field, json!("11".repeat(32)));
        let mut dialler = Peer::spawn("dialler", speak.dial(1, &ready)?, &transcript)?;
        let error = dialler.expect("error")?;
        ensure!(error.field("code") == code && error.field("by") == "us", "{error} is not {code}\n{transcript}");
        ensure!(!dialler.finish()?.success(), "a refusal must show in the exit code\n{transcript}");
    }
    Ok(())
}

#[test]
fn our_listener_survives_a_stranger_and_serves_the_next_peer() -> Result<()> {
    let (python, speak) = (python()?, Speak::prepare()?);
    let transcript = Transcript::new();
    let mut listener = Peer::spawn("listener", speak.listen(1), &transcript)?;
    let ready = listener.expect("ready")?;
    let mut stranger = TcpStream::connect(ready.text("bound")?)?;
    stranger.write_all(b"srempX\0")?;
    let mut answer = Vec::new();
    stranger.read_to_end(&mut answer)?;
    ensure!(answer.is_empty(), "{answer:02x?}\n{transcript}");
    let mut dialler = Peer::spawn("dialler", python.dial(100, &ready)?, &transcript)?;
    say(&mut dialler, &mut listener, "after all")?;
    dialler.send(&json!({"cmd": "close"}))?;
    dialler.finish_well()?;
    listener.finish_well()
}

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use waypost_interop::sremp::{Pair, PythonPeer, say};
use waypost_interop::{Peer, Transcript};

use crate::vectors_copy;

/// The seed with the lower identity key, and one with a higher.
const LOW: u8 = 1;
const HIGH: u8 = 2;

pub(crate) fn python() -> Result<PythonPeer> {
    PythonPeer::prepare(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

fn python_to_python(listener: u8, dialler: u8) -> Result<Pair> {
    let python = python()?;
    Pair::connect(python.listen(listener), |ready| python.dial(dialler, ready))
}

mod vectors {
    use super::*;

    #[test]
    fn the_python_peer_agrees_with_every_vector() -> Result<()> {
        waypost_interop::python::run(&mut python()?.check_vectors())?;
        Ok(())
    }

    #[test]
    fn the_python_peer_notices_a_changed_and_a_missing_vector() -> Result<()> {
        let (folder, copy) = vectors_copy("sremp")?;
        let check =
            || Ok::<_, anyhow::Error>(python()?.check_vectors().env("WAYPOST_VECTORS", folder.path()).output()?);
        ensure!(check()?.status.success(), "an unchanged copy must pass");

        let path = copy.join("verification.json");
        let good = fs::read_to_string(&path)?;
        let mut file: Value = serde_json::from_str(&good)?;
        file["cases"][0]["expect"] = json!({"number": "0".repeat(60)});
        fs::write(&path, file.to_string())?;
        ensure!(!check()?.status.success(), "a changed number passed");
        file["cases"][0]["expect"] = json!({"digits": 60});
        fs::write(&path, file.to_string())?;
        ensure!(!check()?.status.success(), "an unknown expected value passed");
        file["cases"][0]["input"] = json!({"c": "00"});
        fs::write(&path, file.to_string())?;
        ensure!(!check()?.status.success(), "an unknown shape of case passed");
        fs::remove_file(&path)?;
        ensure!(!check()?.status.success(), "a missing file passed");
        Ok(())
    }
}

#[test]
fn python_talks_to_python_when_the_listener_has_the_lower_key() -> Result<()> {
    let mut pair = python_to_python(LOW, HIGH)?;
    ensure!(pair.listener_is_lower);
    pair.talk()?;
    pair.part()
}

#[test]
fn python_talks_to_python_when_the_dialler_has_the_lower_key() -> Result<()> {
    let mut pair = python_to_python(HIGH, LOW)?;
    ensure!(!pair.listener_is_lower);
    pair.talk()?;
    pair.part()
}

#[test]
fn a_python_peer_that_lost_its_sessions_is_heard_again() -> Result<()> {
    let python = python()?;
    let transcript = Transcript::new();
    let mut listener = Peer::spawn("listener", python.listen(HIGH), &transcript)?;
    let ready = listener.expect("ready")?;
    for round in ["first", "second"] {
        let mut dialler = Peer::spawn(round, python.dial(LOW, &ready)?, &transcript)?;
        say(&mut dialler, &mut listener, round)?;
        say(&mut listener, &mut dialler, round)?;
        dialler.send(&json!({"cmd": "close"}))?;
        dialler.finish_well()?;
        listener.expect("closed")?;
    }
    listener.finish_well()
}

#[test]
fn a_python_dialler_refuses_another_noise_key_or_identity_than_it_dialled() -> Result<()> {
    let python = python()?;
    for (field, code) in [("noise_key", "noise_key_mismatch"), ("identity_key", "auth")] {
        let transcript = Transcript::new();
        let mut listener = Peer::spawn("listener", python.listen(LOW), &transcript)?;
        let ready = listener.expect("ready")?.with(field, json!("11".repeat(32)));
        let mut dialler = Peer::spawn("dialler", python.dial(HIGH, &ready)?, &transcript)?;
        let error = dialler.expect("error")?;
        ensure!(error.field("code") == code, "{error} is not {code}\n{transcript}");
        ensure!(!dialler.finish()?.success(), "a refusal must show in the exit code\n{transcript}");
        listener.expect("error")?;
        ensure!(!listener.finish()?.success(), "so must it on the other side\n{transcript}");
    }
    Ok(())
}

#[test]
fn the_python_listener_answers_a_foreign_header_with_silence() -> Result<()> {
    let transcript = Transcript::new();
    let mut listener = Peer::spawn("listener", python()?.listen(LOW), &transcript)?;
    let mut stranger = TcpStream::connect(listener.expect("ready")?.text("bound")?)?;
    stranger.write_all(b"srempX\0")?;
    let mut answer = Vec::new();
    stranger.read_to_end(&mut answer)?;
    ensure!(answer.is_empty(), "{answer:02x?}\n{transcript}");
    ensure!(listener.expect("error")?.field("code") == "malformed", "{transcript}");
    ensure!(!listener.finish()?.success(), "{transcript}");
    Ok(())
}

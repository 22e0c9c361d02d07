//! Messages through an established channel: sealed by one side, opened by the other, one core.

use super::noise_peers::{self, Snow};
use crate::{
    measure::{Contestant, as_f64, contest},
    progress,
    report::{Aim, Row, rows_of},
    tls_peer::{self, Exchange, Shown, Tls},
};
use anyhow::{Context, Result, anyhow};
use rand::{SeedableRng, rngs::StdRng};
use rustls::CipherSuite;
use waypost_sremp::{
    frame::LENGTH_LEN,
    noise::{MAX_PLAINTEXT, NoiseKeys, TAG_LEN},
    x25519::Secret,
};

pub(super) fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    // The longest message a frame holds is 17 bytes short of 64 KiB.
    for (what, size) in [("64 KiB messages", MAX_PLAINTEXT), ("256 B messages", 256)] {
        progress(&format!("transport, {what}"));
        let plaintext = vec![0x5a; size];
        let contestants = vec![
            ours(&plaintext)?,
            snow(Snow::Default, &plaintext)?,
            snow(Snow::Ring, &plaintext)?,
            tls("rustls, ChaCha20-Poly1305", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, &plaintext)?,
            tls("rustls, AES-256-GCM", CipherSuite::TLS13_AES_256_GCM_SHA384, &plaintext)?,
        ];
        let speeds = contest(contestants)?;
        let unit = ("MB/s", as_f64(size as u64) / 1e6);
        rows.extend(rows_of("transport", what, unit, &speeds, Some((Snow::Ring.name(), Aim::AtLeastThePeer))));
    }
    Ok(rows)
}

fn ours(plaintext: &[u8]) -> Result<Contestant<'_>> {
    let mut rng = StdRng::seed_from_u64(3);
    let [a, b] = [(); 2].map(|()| NoiseKeys::new(Secret::generate(&mut rng)));
    let (mut a, mut b) = noise_peers::ours(&a, &b, &mut rng)?;
    let (mut wire, mut opened) = (Vec::new(), Vec::new());
    Ok(Contestant::new("ours", move |times| {
        for _ in 0..times {
            wire.clear();
            a.seal(plaintext, &mut wire).map_err(|error| anyhow!("{error}"))?;
            let frame = wire.get(LENGTH_LEN..).context("a frame")?;
            b.open(frame, &mut opened).map_err(|error| anyhow!("{error}"))?;
        }
        Ok(())
    }))
}

fn snow(snow: Snow, plaintext: &[u8]) -> Result<Contestant<'_>> {
    let (mut a, mut b) = snow.handshake(&snow.key()?, &snow.key()?)?;
    let (mut wire, mut opened) = (vec![0; plaintext.len() + TAG_LEN], vec![0; plaintext.len()]);
    Ok(Contestant::new(snow.name(), move |times| {
        for _ in 0..times {
            let length = a.write_message(plaintext, &mut wire)?;
            b.read_message(wire.get(..length).context("a message")?, &mut opened)?;
        }
        Ok(())
    }))
}

fn tls<'a>(name: &str, cipher: CipherSuite, plaintext: &'a [u8]) -> Result<Contestant<'a>> {
    let (mut client, mut server) = Tls::new(Shown::Server, Exchange::X25519, cipher)?.handshake()?;
    let (mut wire, mut opened) = (Vec::new(), vec![0; plaintext.len()]);
    Ok(Contestant::new(name, move |times| {
        (0..times).try_for_each(|_| tls_peer::transfer(&mut client, &mut server, plaintext, &mut wire, &mut opened))
    }))
}

//! Handshakes: both sides, one core.

use super::{
    noise_peers::{self, Snow},
    people,
};
use crate::{
    measure::{Contestant, contest},
    progress,
    report::{Aim, Row, rows_of},
    tls_peer::{Exchange, Shown, Tls},
};
use anyhow::Result;
use rand::{SeedableRng, rngs::StdRng};
use rustls::CipherSuite;
use waypost_sremp::{noise::NoiseKeys, x25519::Secret};

const UNIT: (&str, f64) = ("/s", 1.0);

pub(super) fn rows() -> Result<Vec<Row>> {
    progress("handshakes");
    let mut rng = StdRng::seed_from_u64(1);
    let [a, b] = [(); 2].map(|()| NoiseKeys::new(Secret::generate(&mut rng)));
    let speeds = contest(vec![
        Contestant::new("ours", |times| (0..times).try_for_each(|_| noise_peers::ours(&a, &b, &mut rng).map(drop))),
        snow(Snow::Default)?,
        snow(Snow::Ring)?,
        tls("rustls TLS 1.3", Shown::Server)?,
    ])?;
    let mut rows = rows_of("handshakes", "Noise XX", UNIT, &speeds, Some((Snow::Ring.name(), Aim::AtLeastThePeer)));

    let mut rng = StdRng::seed_from_u64(2);
    let [a, b] = people::pair(&mut rng)?;
    let speeds = contest(vec![
        Contestant::new("ours", |times| (0..times).try_for_each(|_| people::connect(&a, &b, &mut rng))),
        tls("rustls TLS 1.3, both show a certificate", Shown::Both)?,
    ])?;
    rows.extend(rows_of("handshakes", "whole SREMP connection, identities proven", UNIT, &speeds, None));
    Ok(rows)
}

fn snow(snow: Snow) -> Result<Contestant<'static>> {
    let (a, b) = (snow.key()?, snow.key()?);
    Ok(Contestant::new(snow.name(), move |times| (0..times).try_for_each(|_| snow.handshake(&a, &b).map(drop))))
}

fn tls(name: &str, shown: Shown) -> Result<Contestant<'static>> {
    let tls = Tls::new(shown, Exchange::X25519, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256)?;
    Ok(Contestant::new(name, move |times| (0..times).try_for_each(|_| tls.handshake().map(drop))))
}

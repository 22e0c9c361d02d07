//! Whole links, both sides in one thread: messages, and handshakes.

use super::{
    KIB,
    machines::{Pair, psk},
    size_name,
};
use crate::{
    measure::{Contestant, as_f64, contest},
    progress,
    report::{Aim, Row, rows_of},
    tls_peer::{self, Exchange, Shown, Tls},
};
use anyhow::Result;
use rustls::CipherSuite;
use waypost_framelink::Mode;

const SIZES: [usize; 5] = [64, KIB, 16 * KIB, 64 * KIB, 1024 * KIB];

/// Messages from one application's buffer to the other's.
pub(super) fn messages() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for size in SIZES {
        let name = size_name(size);
        progress(&format!("links, messages of {name}"));
        let message = vec![0x5a; size];
        let field = vec![
            ours(&message)?,
            tls("rustls, AES-256-GCM", CipherSuite::TLS13_AES_256_GCM_SHA384, &message)?,
            tls("rustls, ChaCha20-Poly1305", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, &message)?,
        ];
        let unit = ("GB/s", as_f64(size as u64) / 1e9);
        rows.extend(rows_of("messages over a link, both sides, one core", &name, unit, &contest(field)?, None));
    }
    Ok(rows)
}

pub(super) fn handshakes() -> Result<Vec<Row>> {
    const GROUP: &str = "handshakes, both sides, one core";
    const UNIT: (&str, f64) = ("/s", 1.0);

    let mut rows = Vec::new();
    for (what, mode, exchange, peer) in [
        ("hybrid", Mode::Hybrid, Exchange::Hybrid, "rustls TLS 1.3, X25519MLKEM768"),
        ("psk", Mode::Psk, Exchange::X25519, "rustls TLS 1.3, X25519"),
    ] {
        progress(&format!("handshakes, {what}"));
        let (psk, mut seed) = (psk()?, 0);
        let tls = Tls::new(Shown::Server, exchange, CipherSuite::TLS13_AES_256_GCM_SHA384)?;
        let field = vec![
            Contestant::new("ours", move |times| {
                (0..times).try_for_each(|_| {
                    seed += 1;
                    Pair::open(&psk, mode, seed).map(drop)
                })
            }),
            Contestant::new(peer, move |times| (0..times).try_for_each(|_| tls.handshake().map(drop))),
        ];
        rows.extend(rows_of(GROUP, what, UNIT, &contest(field)?, Some((peer, Aim::AtLeastThePeer))));
    }
    Ok(rows)
}

fn ours(message: &[u8]) -> Result<Contestant<'_>> {
    let mut pair = Pair::open(&psk()?, Mode::Psk, 1)?;
    let mut read = vec![0; message.len()];
    Ok(Contestant::new("ours", move |times| (0..times).try_for_each(|_| pair.message(message, &mut read))))
}

fn tls<'a>(name: &str, cipher: CipherSuite, message: &'a [u8]) -> Result<Contestant<'a>> {
    let (mut client, mut server) = Tls::new(Shown::Server, Exchange::X25519, cipher)?.handshake()?;
    client.set_buffer_limit(None);
    let (mut wire, mut read) = (Vec::new(), vec![0; message.len()]);
    Ok(Contestant::new(name, move |times| {
        (0..times).try_for_each(|_| tls_peer::transfer(&mut client, &mut server, message, &mut wire, &mut read))
    }))
}

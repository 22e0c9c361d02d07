//! Bytes on the wire: a whole link's, and a whole TLS connection's, counted.

use super::{
    KIB,
    machines::{Pair, psk},
    size_name,
};
use crate::{
    measure::as_f64,
    progress,
    report::Row,
    tls_peer::{Exchange, Shown, Tls, carry, transfer},
};
use anyhow::Result;
use rustls::CipherSuite;
use waypost_framelink::Mode;

const GROUP: &str = "bytes on the wire";
const SIZES: [usize; 6] = [1, 100, KIB, 64 * KIB, 1024 * KIB, 16 * 1024 * KIB];

/// The parts of a whole connection.
struct Counted {
    handshake: usize,
    message: usize,
    close: usize,
}

pub(super) fn rows() -> Result<Vec<Row>> {
    progress("bytes on the wire");
    let mut rows = Vec::new();
    for (what, mode, exchange, peer) in [
        ("hybrid", Mode::Hybrid, Exchange::Hybrid, "rustls TLS 1.3, X25519MLKEM768"),
        ("psk", Mode::Psk, Exchange::X25519, "rustls TLS 1.3, X25519"),
    ] {
        let (ours, theirs) = (ours(mode, &[])?, theirs(exchange, &[])?);
        rows.push(row(format!("handshake, {what}"), ours.handshake, peer, theirs.handshake));
        rows.push(row(format!("end of both directions, {what}"), ours.close, peer, theirs.close));
    }
    for size in SIZES {
        let message = vec![0x5a; size];
        let (ours, theirs) = (ours(Mode::Hybrid, &message)?, theirs(Exchange::Hybrid, &message)?);
        let name = size_name(size);
        rows.push(row(format!("a message of {name}"), ours.message, "rustls TLS 1.3", theirs.message));
        rows.push(row(format!("the whole link for {name}, hybrid"), ours.all(), "rustls TLS 1.3", theirs.all()));
    }
    Ok(rows)
}

fn row(what: String, ours: usize, peer: &str, theirs: usize) -> Row {
    Row::alone(GROUP, what, "B", as_f64(ours as u64)).beside_less(peer, as_f64(theirs as u64))
}

impl Counted {
    const fn all(&self) -> usize {
        self.handshake + self.message + self.close
    }
}

fn ours(mode: Mode, message: &[u8]) -> Result<Counted> {
    let mut pair = Pair::open(&psk()?, mode, 1)?;
    let handshake = std::mem::take(&mut pair.wire);
    pair.message(message, &mut vec![0; message.len()])?;
    let message = std::mem::take(&mut pair.wire);
    pair.close()?;
    Ok(Counted { handshake, message, close: pair.wire })
}

fn theirs(exchange: Exchange, message: &[u8]) -> Result<Counted> {
    let tls = Tls::new(Shown::Server, exchange, CipherSuite::TLS13_AES_256_GCM_SHA384)?;
    let (mut client, mut server, handshake) = tls.counted_handshake()?;
    client.set_buffer_limit(None);
    let mut wire = Vec::new();
    transfer(&mut client, &mut server, message, &mut wire, &mut vec![0; message.len()])?;
    let message = wire.len();
    client.send_close_notify();
    carry(&mut client, &mut server, &mut wire)?;
    let closed = wire.len();
    server.send_close_notify();
    carry(&mut server, &mut client, &mut wire)?;
    Ok(Counted { handshake, message, close: closed + wire.len() })
}

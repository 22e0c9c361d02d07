//! What reaches `waypost-framelink` from outside: key lines, headers, the two messages in clear text, frames.

mod link;

pub use link::framelink_link;

use hmac::{Hmac, KeyInit, Mac};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use sha2::Sha256;
use waypost_core::Now;
use waypost_framelink::{
    Align, Fault, Header, Link, Mode, Psk, Settings,
    establish::mac1_key,
    link::{End, Input, Output},
    probe::{BLOCK, KernelInput},
};

/// The key both sides have.
pub const KEY: [u8; 32] = *b"32 bytes everybody in here knows";
/// Length of a proof that M1's sender knows the key.
const MAC1_LEN: usize = 16;
const LARGEST: usize = 4096;

/// The line a key is kept in: what is read is written the same, but for blanks around it.
pub fn framelink_psk_line(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match Psk::from_line(text) {
        Ok(psk) => assert_eq!(*psk.to_line(), text.trim_matches([' ', '\t', '\r', '\n'])),
        Err(fault) => assert!(matches!(fault, Fault::PskFormat | Fault::PskCheck | Fault::PskWeak)),
    }
}

/// A header as it travels, and what is judged of it first: CHECKSUM, then SEQ, then LENGTH.
pub fn framelink_header(data: &[u8]) {
    let Some((bytes, rest)) = data.split_first_chunk() else { return };
    let Ok(header) = Header::decode(bytes) else { return };
    assert_eq!(&header.encode(), bytes);
    let Some(([a, b, c, d], _)) = rest.split_first_chunk() else { return };
    let number = u32::from_be_bytes([*a, *b, *c, *d]);
    for (seq, most) in [(header.seq, number), (number, header.length), (number, number)] {
        let expected = match () {
            () if header.seq != seq => Err(Fault::Sequence),
            () if header.length > most => Err(Fault::Length),
            () => Ok(()),
        };
        assert_eq!(header.check(seq, most), expected);
    }
}

/// What comes before frames, to both sides. The first byte says which mode, which alignment, and how it is cut.
///
/// However it is cut, a side says and ends the same; what is sent back is nothing, REJECT, or an answer.
pub fn framelink_preamble(data: &[u8]) {
    let Some((choice, message)) = data.split_first() else { return };
    let mut message = message.get(..LARGEST.min(message.len())).unwrap_or_default().to_vec();
    if choice & 4 != 0 {
        prove(&mut message);
    }
    let step = usize::from(choice >> 3).max(1);
    for top in [false, true] {
        let whole = meet(*choice, top, &[message.as_slice()]);
        assert_eq!(meet(*choice, top, &message.chunks(step).collect::<Vec<_>>()), whole);
        let Some((sent, end)) = whole else { continue };
        // A TOP that took an M2 says HELLO, and never rejects; a BOTTOM rejects, or says M2 and HELLO.
        let lengths: &[usize] = if top { &[0, 72] } else { &[0, 8, 40 + 72, 1128 + 72] };
        assert!(lengths.contains(&sent.len()));
        assert!(sent.len() != 8 || (sent.get(4..6) == Some(&[1, 0xff]) && end.is_some()));
        assert!(end.is_none_or(|end| end.in_handshake));
    }
}

/// Makes a proof of the key for an M1 whose length is right.
fn prove(message: &mut [u8]) {
    let length = if message.get(5) == Some(&2) { 56 } else { 1240 };
    let Some((body, mac)) = message.get_mut(..length).and_then(|m1| m1.split_last_chunk_mut::<MAC1_LEN>()) else {
        return;
    };
    let Some(mac1) = psk().and_then(|psk| Hmac::<Sha256>::new_from_slice(mac1_key(&psk).as_slice()).ok()) else {
        return;
    };
    let proof = mac1.chain_update(body).finalize().into_bytes();
    mac.iter_mut().zip(proof).for_each(|(place, byte)| *place = byte);
}

pub(crate) fn psk() -> Option<Psk> {
    Psk::from_bytes(KEY).ok()
}

/// Everything a side sends behind its own first message, and how it ended.
fn meet(choice: u8, top: bool, pieces: &[&[u8]]) -> Option<(Vec<u8>, Option<End>)> {
    let (now, mut rng, mut settings) = (Now::default(), ChaCha20Rng::from_seed([1; 32]), Settings::default());
    let mode = if choice & 1 == 0 { Mode::Psk } else { Mode::Hybrid };
    settings.framing.align = if choice & 2 == 0 { Align::Block } else { Align::Stream };
    let mut link = if top {
        Link::connect(now, &mut rng, psk()?, mode, settings).ok()?
    } else {
        Link::accept(now, vec![psk()?], vec![mode, Mode::Psk], settings).ok()?
    };
    if top {
        link.poll();
    }
    let mut sent = Vec::new();
    for piece in pieces {
        assert_eq!(link.handle(now, &mut rng, Input::Bytes(piece)), Ok(()));
    }
    while let Some(output) = link.poll() {
        if let Output::Send(bytes) = output {
            sent.extend(bytes);
        }
    }
    // Whether HELLO still left before what came behind was found wrong hangs on the cut; what ended it does not.
    let ended_after = link.end().is_some_and(|end| end.fault == Some(Fault::HsAuth));
    Some((if ended_after { Vec::new() } else { sent }, link.end().cloned()))
}

/// One input to all paths of the kernel, whose outcome must be one.
pub fn framelink_kernel(data: &[u8]) {
    let Some((key, rest)) = data.split_first_chunk::<32>() else { return };
    let Some((first_counter, rest)) = rest.split_first_chunk::<16>() else { return };
    let Some((position, rest)) = rest.split_first_chunk::<16>() else { return };
    let Some((words, rest)) = rest.split_first_chunk::<32>() else { return };
    let Some(([shift, ahead], bytes)) = rest.split_first_chunk() else { return };
    let mut state = [0; 8];
    for (word, bytes) in state.iter_mut().zip(words.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    let bytes = bytes.get(..LARGEST.min(bytes.len())).unwrap_or_default();
    let (position, shift, ahead) = (u128::from_be_bytes(*position), usize::from(*shift) % BLOCK, usize::from(*ahead));
    KernelInput { key: *key, first_counter: *first_counter, position, state, bytes, shift, ahead }.check();
}

//! The receiving direction: bytes in as they come, verified frames out. Seed, profile FL-2.5, FL-2.9, FL-3.4.

#[cfg(test)]
mod tests;

use crate::{
    Block, Fault, Framing, Header, Role,
    block::Half,
    chain::{Chain, PADDING, pad},
    framing::{KeyUse, OVERHEAD},
    header::Sequence,
    kernel::BLOCK,
    keystream::Keystream,
};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// How far decryption is ahead of the hash before both go on at once. The kernel wants two blocks.
const LEAD: usize = 2 * BLOCK;

/// How far the frame that is coming in has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are wanted.
    Partial,
    /// The header is there and is that of the next frame; nothing of it is authenticated yet. Whoever does
    /// not like it, stops here.
    Header(Header),
    /// The frame is whole and verified: see [`Opener::payload`].
    Frame(Header),
}

/// Opens the frames of one direction, one after the other.
///
/// The room it takes grows with the bytes that have come, never with the LENGTH that was announced.
pub struct Opener {
    sender: Role,
    framing: Framing,
    half: Half,
    chain: Chain,
    keystream: Keystream,
    sequence: Sequence,
    used: KeyUse,
    /// The frame that is coming in, decrypted; longer than `filled` when an earlier frame was.
    frame: Vec<u8>,
    filled: usize,
    /// Bytes of it that are in the chain.
    hashed: usize,
    header: Option<Header>,
    verified: usize,
}

impl Opener {
    /// The direction that `sender` sends.
    pub fn new(block: &Block, sender: Role, framing: Framing) -> Self {
        let half = block.half(sender);
        let (chain, keystream) = (framing.chain(&half), Keystream::new(&half.key, &half.counter));
        Self {
            sender,
            framing,
            half,
            chain,
            keystream,
            sequence: framing.sequence(),
            used: KeyUse::default(),
            frame: Vec::new(),
            filled: 0,
            hashed: 0,
            header: None,
            verified: 0,
        }
    }

    /// Takes bytes from the front of `input`, at most to the end of the header, or of the frame.
    ///
    /// # Errors
    /// [`Fault::Checksum`], [`Fault::Sequence`] or [`Fault::Hmac`], after which nothing more can be opened;
    /// [`Fault::Length`] if this machine cannot count so far.
    pub fn push(&mut self, input: &mut &[u8]) -> Result<Progress, Fault> {
        let Some(header) = self.header else { return self.push_header(input) };
        let length = usize::try_from(header.length).map_err(|_| Fault::Length)?;
        let total = length.checked_add(OVERHEAD).ok_or(Fault::Length)?;
        self.push_body(total, input);
        if self.filled < total {
            return Ok(Progress::Partial);
        }
        self.verify(Header::LEN + length)?;
        self.header = None;
        (self.filled, self.hashed, self.verified) = (0, 0, length);
        self.keystream.end_frame(self.framing.align);
        self.sequence.advance();
        self.used = self.used.with(header.length);
        Ok(Progress::Frame(header))
    }

    /// The payload of the frame that was verified last; empty as soon as another has begun.
    pub fn payload(&self) -> &[u8] {
        self.frame.get(Header::LEN..Header::LEN + self.verified).unwrap_or_default()
    }

    /// Whether no frame has begun.
    pub const fn is_between_frames(&self) -> bool {
        self.filled == 0
    }

    /// Bytes of memory that hold the frame: for tests of its bound.
    #[doc(hidden)]
    pub fn room(&self) -> usize {
        self.frame.capacity()
    }

    /// What the current key has opened.
    pub(crate) const fn used(&self) -> KeyUse {
        self.used
    }

    /// Goes on under the half that follows from `r`, behind the REKEY frame that carries it. Profile, REKEY.
    pub fn turn(&mut self, r: &[u8; 32]) {
        self.half = self.half.after(&self.chain.to_bytes(), r, self.sender);
        self.chain = Chain::from_bytes(&self.half.chain);
        self.keystream = Keystream::new(&self.half.key, &self.half.counter);
        self.used = KeyUse::default();
    }

    /// Forgets all keys: nothing can be opened any more.
    pub(crate) fn wipe(&mut self) {
        self.half.zeroize();
        self.chain.zeroize();
        self.keystream = Keystream::new(&[0; 32], &[0; 16]);
    }

    fn push_header(&mut self, input: &mut &[u8]) -> Result<Progress, Fault> {
        self.verified = 0;
        let wanted = (Header::LEN - self.filled).min(input.len());
        self.decrypt(take(input, wanted));
        if self.filled < Header::LEN {
            return Ok(Progress::Partial);
        }
        let header = Header::decode(self.frame.first_chunk().ok_or(Fault::Checksum)?)?;
        header.check(self.sequence.next(), u32::MAX)?;
        self.header = Some(header);
        Ok(Progress::Header(header))
    }

    /// Decrypts what has come, and hashes it but for the lead.
    fn push_body(&mut self, total: usize, input: &mut &[u8]) {
        loop {
            let wanted = (total - self.filled).min(input.len());
            if wanted == 0 {
                return;
            }
            let (left, lead) = (self.keystream.left(), self.filled - self.hashed);
            if left == 0 && lead >= LEAD && wanted >= BLOCK {
                let sealed = take(input, wanted / BLOCK * BLOCK);
                let end = self.make_room(sealed.len());
                let plain = self.frame.get_mut(self.hashed..end).unwrap_or_default();
                self.keystream.open(self.chain.words(), plain, lead, sealed);
                self.hashed += sealed.len();
                self.filled = end;
                continue;
            }
            let step = match left {
                0 => LEAD.saturating_sub(lead).next_multiple_of(BLOCK).max(BLOCK),
                left => left,
            };
            self.decrypt(take(input, wanted.min(step)));
            self.hash_to(self.filled.saturating_sub(LEAD) / BLOCK * BLOCK);
        }
    }

    fn decrypt(&mut self, sealed: &[u8]) {
        let end = self.make_room(sealed.len());
        self.keystream.apply(sealed, self.frame.get_mut(self.filled..end).unwrap_or_default());
        self.filled = end;
    }

    /// Makes the frame long enough for as many more bytes; where they end.
    fn make_room(&mut self, more: usize) -> usize {
        let end = self.filled + more;
        if self.frame.len() < end {
            self.frame.resize(end, 0);
        }
        end
    }

    fn hash_to(&mut self, end: usize) {
        if let Some(blocks) = self.frame.get(self.hashed..end).filter(|blocks| !blocks.is_empty()) {
            self.keystream.compress(self.chain.words(), blocks);
            self.hashed = end;
        }
    }

    /// Whether the tag behind the first `end` bytes is theirs. The padding takes its place.
    fn verify(&mut self, end: usize) -> Result<(), Fault> {
        let came = u64::from_be_bytes(*self.frame.get(end..).and_then(<[u8]>::first_chunk).ok_or(Fault::Hmac)?);
        if self.frame.len() < end + PADDING {
            self.frame.resize(end + PADDING, 0);
        }
        let rest = self.frame.get_mut(self.hashed..).unwrap_or_default();
        let padded = pad(rest, end - self.hashed, end);
        self.keystream.compress(self.chain.words(), padded);
        if bool::from(u64::from_be_bytes(self.chain.last_tag()).ct_eq(&came)) { Ok(()) } else { Err(Fault::Hmac) }
    }
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(length);
    *input = rest;
    taken
}

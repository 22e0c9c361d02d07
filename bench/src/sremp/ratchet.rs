//! Messages through the ratchet: encrypted by one side, decrypted by the other, one core.

use crate::{
    measure::{Contestant, contest},
    progress,
    report::{Aim, Row, rows_of},
};
use anyhow::{Context, Result, anyhow};
use rand::{SeedableRng, rngs::StdRng};
use vodozemac::olm::{Account, OlmMessage, Session, SessionConfig};
use waypost_core::Wall;
use waypost_sremp::{Ratchet, RatchetStart, x25519::Secret};

const CONTENT: [u8; 200] = [0x5a; 200];
/// Our chains end after 10,000 messages; a fresh pair takes over before.
const CHAIN: u32 = 9_000;

pub(super) fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (what, ping_pong) in [("one way, 200 B", false), ("ping-pong, 200 B", true)] {
        progress(&format!("ratchet, {what}"));
        let mut ours = OurPair::new()?;
        let mut theirs = TheirPair::new()?;
        let contestants = vec![
            Contestant::new("ours", |times| {
                for _ in 0..times {
                    if ours.a.sent() > CHAIN {
                        ours = OurPair::new()?;
                    }
                    ours.message(ping_pong)?;
                }
                Ok(())
            }),
            Contestant::new("vodozemac", |times| (0..times).try_for_each(|_| theirs.message(ping_pong))),
        ];
        let speeds = contest(contestants)?;
        rows.extend(rows_of("ratchet", what, ("msg/s", 1.0), &speeds, Some(("vodozemac", Aim::AtLeastThePeer))));
    }
    Ok(rows)
}

/// Both sides of ours, past the first messages.
struct OurPair {
    a: Ratchet,
    b: Ratchet,
    rng: StdRng,
    next: u64,
}

impl OurPair {
    fn new() -> Result<Self> {
        let mut rng = StdRng::seed_from_u64(4);
        let start = RatchetStart { sk: [1; 32], hka: [2; 32], nhkb: [3; 32], ad: [4; 32] };
        let prekey = Secret::generate(&mut rng);
        let a = Ratchet::initiator(&start, Secret::generate(&mut rng), prekey.public()).map_err(error)?;
        let mut pair = Self { a, b: Ratchet::responder(&start, prekey), rng, next: 0 };
        pair.message(true)?;
        pair.message(true)?;
        Ok(pair)
    }

    /// Sends one message; after it, in ping-pong, the other side is next.
    fn message(&mut self, ping_pong: bool) -> Result<()> {
        self.next += 1;
        let blob = self.a.encrypt(self.next, &CONTENT, &mut self.rng).map_err(error)?;
        let content = self.b.decrypt(Wall::default(), self.next, &blob, &mut self.rng).map_err(error)?;
        anyhow::ensure!(content == CONTENT, "ours: another content");
        if ping_pong {
            std::mem::swap(&mut self.a, &mut self.b);
        }
        Ok(())
    }
}

fn error(error: waypost_sremp::Error) -> anyhow::Error {
    anyhow!("ours: {error}")
}

/// Both sides of vodozemac, past the first messages.
struct TheirPair {
    a: Session,
    b: Session,
}

impl TheirPair {
    fn new() -> Result<Self> {
        let (alice, mut bob) = (Account::new(), Account::new());
        bob.generate_one_time_keys(1);
        let key = *bob.one_time_keys().values().next().context("a one-time key")?;
        let config = SessionConfig::version_1();
        let mut a = alice.create_outbound_session(config, bob.curve25519_key(), key)?;
        let OlmMessage::PreKey(first) = a.encrypt(CONTENT)? else {
            return Err(anyhow!("vodozemac: not a first message"));
        };
        let b = bob.create_inbound_session(config, alice.curve25519_key(), &first)?.session;
        let mut pair = Self { a: b, b: a };
        pair.message(true)?;
        pair.message(true)?;
        Ok(pair)
    }

    /// The same, with the bytes that travel made and read, as ours does.
    fn message(&mut self, ping_pong: bool) -> Result<()> {
        let (kind, bytes) = self.a.encrypt(CONTENT)?.to_parts();
        let content = self.b.decrypt(&OlmMessage::from_parts(kind, &bytes)?)?;
        anyhow::ensure!(content == CONTENT, "vodozemac: another content");
        if ping_pong {
            std::mem::swap(&mut self.a, &mut self.b);
        }
        Ok(())
    }
}

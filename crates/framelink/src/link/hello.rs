//! HELLO: key confirmation and limits, the first frame each way. Profile FL-6.2.

use crate::{Fault, Mode, Role, Settings, settings::MIN_MAX_FRAME, settings::UNLIMITED};
use subtle::ConstantTimeEq;

/// Length of its payload.
pub(super) const HELLO_LEN: u32 = 48;
const VERSION: [u8; 2] = [0, 1];

/// What a side takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLimits {
    /// Largest LENGTH.
    pub max_frame: u32,
    /// Application bytes at once; [`UNLIMITED`] for no limit.
    pub credit: u32,
}

impl PeerLimits {
    pub(super) const fn unlimited() -> Self {
        Self { max_frame: u32::MAX, credit: UNLIMITED }
    }
}

/// The HELLO of `role`.
pub(super) fn encode(th: &[u8; 32], role: Role, mode: Mode, settings: &Settings) -> Vec<u8> {
    let mut hello = th.to_vec();
    hello.extend_from_slice(&VERSION);
    hello.extend_from_slice(&[role.letter(), mode.byte()]);
    hello.extend_from_slice(&settings.limits.max_frame.to_be_bytes());
    hello.extend_from_slice(&settings.limits.credit.to_be_bytes());
    hello.extend_from_slice(&[0; 4]);
    hello
}

/// Reads the HELLO of `role`, whose tag holds.
pub(super) fn decode(payload: &[u8], th: &[u8; 32], role: Role, mode: Mode) -> Result<PeerLimits, Fault> {
    let (their_th, rest) = payload.split_first_chunk::<32>().ok_or(Fault::Hello)?;
    let &[v0, v1, r, m, f0, f1, f2, f3, c0, c1, c2, c3, _, _, _, _] = rest else { return Err(Fault::Hello) };
    let limits =
        PeerLimits { max_frame: u32::from_be_bytes([f0, f1, f2, f3]), credit: u32::from_be_bytes([c0, c1, c2, c3]) };
    let same = bool::from(their_th.ct_eq(th)) && [v0, v1] == VERSION && [r, m] == [role.letter(), mode.byte()];
    if same && limits.max_frame >= MIN_MAX_FRAME { Ok(limits) } else { Err(Fault::Hello) }
}

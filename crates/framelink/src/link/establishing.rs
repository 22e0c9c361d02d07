//! From the first byte to the first frame. Profile, Preamble and establishment messages; FL-5.4.

use super::{Event, Link, Output, Status, Wire, ending::End, hello};
use crate::{
    Fault, Role, code,
    establish::{
        Asked, Established, WaitM1, WaitM2,
        preamble::{self, PREAMBLE_LEN},
    },
};
use rand_core::CryptoRng;
use waypost_core::{Mono, Now};

/// Where a link stands.
pub(super) enum Stage {
    /// BOTTOM waits for M1.
    WaitM1 { wait: WaitM1, got: Vec<u8>, asked: Option<Asked> },
    /// TOP waits for M2.
    WaitM2 { wait: WaitM2, got: Vec<u8> },
    /// Both wait for the other's HELLO.
    WaitHello,
    /// Frames flow.
    Open,
    /// The last words were said; what comes is read and forgotten, so that closing does not overtake them.
    Farewell { until: Mono },
    /// Nothing more.
    Over,
}

impl Link {
    /// Takes bytes before frames; the rest, if frames have begun.
    pub(super) fn establish<'a>(&mut self, now: Now, rng: &mut impl CryptoRng, mut input: &'a [u8]) -> &'a [u8] {
        match self.role {
            Role::Top => self.take_m2(now, rng, &mut input),
            Role::Bottom => self.take_m1(now, rng, &mut input),
        }
        .unwrap_or_else(|fault| self.refuse(now, fault));
        input
    }

    fn take_m1(&mut self, now: Now, rng: &mut impl CryptoRng, input: &mut &[u8]) -> Result<(), Fault> {
        let Stage::WaitM1 { wait, got, asked } = &mut self.stage else { return Ok(()) };
        gather(got, PREAMBLE_LEN, input);
        let Some(preamble) = got.first_chunk() else { return Ok(()) };
        let whole = wait.expect(*preamble)?;
        gather(got, whole, input);
        if got.len() < whole {
            return Ok(());
        }
        let known = wait.authenticate(got)?;
        *asked = Some(known);
        if self.busy {
            return Err(Fault::Busy);
        }
        let (established, m2) = wait.answer(rng, got, known)?;
        self.mode = established.mode;
        self.outputs.push_back(Output::Event(Event::KeyShown { psk: known.psk }));
        self.begin(now, rng, &established)?;
        // M2 and HELLO leave in one write.
        if let Some(wire) = &mut self.wire {
            wire.outbound.put_in_front(m2);
        }
        Ok(())
    }

    fn take_m2(&mut self, now: Now, rng: &mut impl CryptoRng, input: &mut &[u8]) -> Result<(), Fault> {
        let Stage::WaitM2 { wait, got } = &mut self.stage else { return Ok(()) };
        gather(got, PREAMBLE_LEN, input);
        let Some(preamble) = got.first_chunk() else { return Ok(()) };
        let whole = wait.expect(*preamble)?;
        gather(got, whole, input);
        if got.len() < whole {
            return Ok(());
        }
        let Stage::WaitM2 { wait, got } = std::mem::replace(&mut self.stage, Stage::WaitHello) else { return Ok(()) };
        let established = wait.finish(&got)?;
        self.begin(now, rng, &established)
    }

    /// The block is there: HELLO is the first frame.
    pub(super) fn begin(&mut self, now: Now, rng: &mut impl CryptoRng, established: &Established) -> Result<(), Fault> {
        let mut wire = Wire::new(&established.block, self.role, &self.settings, now.mono);
        (wire.th, wire.psk) = (established.th, established.psk);
        let hello = hello::encode(&established.th, self.role, self.mode, &self.settings);
        wire.outbound.seal(now.mono, rng, code::HELLO, &hello)?;
        if self.closing {
            wire.outbound.close();
        }
        self.wire = Some(wire);
        self.stage = Stage::WaitHello;
        Ok(())
    }

    /// The peer's HELLO, whose tag holds.
    pub(super) fn take_hello(&mut self) -> Result<(), Fault> {
        let Some(wire) = &mut self.wire else { return Ok(()) };
        let peer = hello::decode(wire.inbound.payload(), &wire.th, self.role.peer(), self.mode)?;
        wire.outbound.open(peer);
        wire.inbound.open_keyed();
        self.stage = Stage::Open;
        self.outputs.push_back(Output::Event(Event::Open { mode: self.mode, psk: wire.psk, peer }));
        Ok(())
    }

    /// There will be no link. BOTTOM says why, if what came was framelink at all.
    fn refuse(&mut self, now: Now, fault: Fault) {
        let reject = if self.role == Role::Bottom { preamble::reject(fault) } else { None };
        self.finish_with(End::new(Status::Violation(fault), Some(fault), true));
        match reject {
            Some(reject) => {
                self.outputs.push_back(Output::Send(reject.to_vec()));
                self.outputs.push_back(Output::Shutdown);
                self.stage = Stage::Farewell { until: now.mono.after(self.settings.timing.farewell) };
            }
            None => self.disconnect(),
        }
    }

    /// Whether frames have not begun.
    pub(super) const fn is_establishing(&self) -> bool {
        matches!(self.stage, Stage::WaitM1 { .. } | Stage::WaitM2 { .. })
    }

    /// BOTTOM: whether whoever connects has shown that it knows a key. Until then nothing costly was done.
    pub const fn has_shown_key(&self) -> bool {
        match self.stage {
            Stage::WaitM1 { asked, .. } => asked.is_some(),
            // Without a wire it was refused: a refusal that lingers is no reason to turn others away.
            _ => self.wire.is_some() || matches!(self.role, Role::Top),
        }
    }
}

/// Fills `got` up to `wanted` bytes.
fn gather(got: &mut Vec<u8>, wanted: usize, input: &mut &[u8]) {
    let (taken, rest) = input.split_at(wanted.saturating_sub(got.len()).min(input.len()));
    got.extend_from_slice(taken);
    *input = rest;
}

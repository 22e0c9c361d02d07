//! Two links as machines, joined in memory.

use anyhow::{Context, Result, bail, ensure};
use rand::{SeedableRng, rngs::StdRng};
use waypost_core::Now;
use waypost_framelink::{
    Error, Link, Mode, Psk, Settings, code,
    link::{Input, Output},
};

/// Both ends of one link.
pub(super) struct Pair {
    rng: StdRng,
    pub(super) top: Link,
    pub(super) bottom: Link,
    /// Bytes that went over the wire so far.
    pub(super) wire: usize,
}

impl Pair {
    /// Nothing has been exchanged yet.
    pub(super) fn new(psk: &Psk, mode: Mode, seed: u64) -> Result<Self> {
        let (now, mut rng) = (Now::default(), StdRng::seed_from_u64(seed));
        let top = Link::connect(now, &mut rng, psk.clone(), mode, Settings::default())?;
        let bottom = Link::accept(now, vec![psk.clone()], vec![mode], Settings::default())?;
        Ok(Self { rng, top, bottom, wire: 0 })
    }

    /// Until messages flow.
    pub(super) fn open(psk: &Psk, mode: Mode, seed: u64) -> Result<Self> {
        let mut pair = Self::new(psk, mode, seed)?;
        pair.settle()?;
        ensure!(pair.top.is_open() && pair.bottom.is_open(), "the link does not open");
        Ok(pair)
    }

    /// Exchanges bytes until neither has more to say.
    pub(super) fn settle(&mut self) -> Result<()> {
        loop {
            let sent = carry(&mut self.top, &mut self.bottom, &mut self.rng)?;
            let answered = carry(&mut self.bottom, &mut self.top, &mut self.rng)?;
            self.wire += sent + answered;
            if sent + answered == 0 {
                return Ok(());
            }
        }
    }

    /// A message from TOP, read at BOTTOM into `read`.
    pub(super) fn message(&mut self, message: &[u8], read: &mut [u8]) -> Result<()> {
        let now = Now::default();
        let mut parts = message.chunks(PART);
        let mut got = 0;
        while got < message.len() {
            if self.top.can_send()
                && let Some(part) = parts.next()
            {
                let input = Input::Send { code: code::DATA, payload: part.to_vec() };
                self.top.handle(now, &mut self.rng, input)?;
            }
            self.wire += carry(&mut self.top, &mut self.bottom, &mut self.rng)?;
            got += self.bottom.read(now, &mut self.rng, read.get_mut(got..).context("more came than was sent")?);
            self.wire += carry(&mut self.bottom, &mut self.top, &mut self.rng)?;
        }
        Ok(())
    }

    /// Both close.
    pub(super) fn close(&mut self) -> Result<()> {
        self.top.handle(Now::default(), &mut self.rng, Input::Close)?;
        self.bottom.handle(Now::default(), &mut self.rng, Input::Close)?;
        self.settle()
    }
}

/// As the shell cuts what an application sends.
pub(super) const PART: usize = 64 * 1024;

/// Hands over what one side has to say; how many bytes that is.
fn carry(from: &mut Link, to: &mut Link, rng: &mut StdRng) -> Result<usize> {
    let mut carried = 0;
    while let Some(output) = from.poll() {
        match output {
            Output::Send(bytes) => {
                carried += bytes.len();
                to.handle(Now::default(), rng, Input::Bytes(&bytes))?;
            }
            Output::Reset => bail!("a link was reset"),
            Output::Shutdown | Output::Disconnect | Output::Event(_) => {}
        }
    }
    if carried > 0 {
        from.handle(Now::default(), rng, Input::Flushed)?;
    }
    Ok(carried)
}

/// A key; nothing of it is a secret.
pub(super) fn psk() -> Result<Psk> {
    let bytes: [u8; 32] = std::array::from_fn(|place| u8::try_from(place).unwrap_or_default());
    Ok(Psk::from_bytes(bytes).map_err(Error::from)?)
}

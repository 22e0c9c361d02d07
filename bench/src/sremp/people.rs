//! Two SREMP peers joined in memory.

use anyhow::{Context, Result, anyhow, ensure};
use rand::rngs::StdRng;
use std::sync::Arc;
use waypost_core::{Now, Wall};
use waypost_sremp::{
    Connection, Error, IdentityDraft,
    connection::{ConnectionKeys, Dialled, Event, Input, Limits, Output, Timing, Verdict},
    ed25519::SigningKey,
    x25519::Secret,
};

/// Two people's keys.
pub(super) fn pair(rng: &mut StdRng) -> Result<[Arc<ConnectionKeys>; 2]> {
    let mut person = |name: &str| -> Result<_, Error> {
        let (signing, noise, dr) = (SigningKey::generate(rng), Secret::generate(rng), Secret::generate(rng));
        let draft = IdentityDraft::new(name, noise.public(), dr.public(), 1, Wall::default());
        ConnectionKeys::new(noise, draft.sign(&signing)?).map(Arc::new)
    };
    Ok([person("Alice").map_err(error)?, person("Bob").map_err(error)?])
}

/// A whole connection, until both are ready: header, handshake, identities.
pub(super) fn connect(a: &Arc<ConnectionKeys>, b: &Arc<ConnectionKeys>, rng: &mut StdRng) -> Result<()> {
    let now = Now::default();
    let dialled = Dialled { identity: Some(b.identity().key()), pin: Some(b.identity().noise_key()) };
    let (limits, timing) = (Limits::default(), Timing::default());
    let mut dialler = Connection::dial(now, rng, a.clone(), dialled, limits.clone(), timing).map_err(error)?;
    let mut listener = Connection::accept(now, b.clone(), limits, timing);
    let mut ready = 0;
    for turn in 0.. {
        let (from, to) = match turn % 2 {
            0 => (&mut dialler, &mut listener),
            _ => (&mut listener, &mut dialler),
        };
        let mut idle = true;
        while let Some(output) = from.poll() {
            idle = false;
            match output {
                Output::Send(bytes) => to.handle(now, rng, Input::Bytes(&bytes)).map_err(error)?,
                Output::Event(Event::Identified(_)) => {
                    let known = Verdict::Accept { known: true };
                    from.handle(now, rng, Input::Judged(known)).map_err(error)?;
                }
                Output::Event(Event::Ready { .. }) => ready += 1,
                _ => {}
            }
        }
        if ready == 2 {
            return Ok(());
        }
        ensure!(!idle || turn == 0, "the connection stands still");
    }
    None.context("never ready")
}

fn error(error: Error) -> anyhow::Error {
    anyhow!("ours: {error}")
}

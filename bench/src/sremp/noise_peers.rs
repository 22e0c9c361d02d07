//! Noise XX by ours and by snow as it comes.

use anyhow::{Context, Result, anyhow};
use rand::rngs::StdRng;
use snow::{
    Builder, TransportState,
    params::NoiseParams,
    resolvers::{BoxedCryptoResolver, DefaultResolver, FallbackResolver, RingResolver},
};
use waypost_sremp::{
    noise::{Initiator, NoiseKeys, Responder, Transport},
    version::OWN_HEADER,
    x25519::Secret,
};

const NAME: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";
/// Longest message of a handshake, and room for what snow wants to spare.
const ROOM: usize = 128;

/// A side of snow: which primitives, and its static secret.
#[derive(Clone, Copy)]
pub(super) enum Snow {
    /// Portable Rust.
    Default,
    /// Its feature `ring-accelerated`.
    Ring,
}

impl Snow {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Default => "snow",
            Self::Ring => "snow + ring",
        }
    }

    fn resolver(self) -> BoxedCryptoResolver {
        match self {
            Self::Default => Box::new(DefaultResolver),
            Self::Ring => Box::new(FallbackResolver::new(Box::new(RingResolver), Box::new(DefaultResolver))),
        }
    }

    /// A static secret.
    pub(super) fn key(self) -> Result<Vec<u8>> {
        Ok(Builder::with_resolver(params()?, self.resolver()).generate_keypair()?.private)
    }

    /// A whole handshake, both sides. The payload is that of SREMP: seven bytes in the second message.
    pub(super) fn handshake(self, a: &[u8], b: &[u8]) -> Result<(TransportState, TransportState)> {
        let header = OWN_HEADER.to_bytes();
        let builder =
            |key| Builder::with_resolver(params()?, self.resolver()).local_private_key(key)?.prologue(&header);
        let (mut a, mut b) = (builder(a)?.build_initiator()?, builder(b)?.build_responder()?);
        let (mut message, mut payload) = ([0; ROOM], [0; ROOM]);
        let length = a.write_message(&[], &mut message)?;
        b.read_message(message.get(..length).context("a message")?, &mut payload)?;
        let length = b.write_message(&header, &mut message)?;
        a.read_message(message.get(..length).context("a message")?, &mut payload)?;
        let length = a.write_message(&[], &mut message)?;
        b.read_message(message.get(..length).context("a message")?, &mut payload)?;
        Ok((a.into_transport_mode()?, b.into_transport_mode()?))
    }
}

fn params() -> Result<NoiseParams, snow::Error> {
    NAME.parse()
}

/// A whole handshake of ours, both sides.
pub(super) fn ours(a: &NoiseKeys, b: &NoiseKeys, rng: &mut StdRng) -> Result<(Transport, Transport)> {
    let header = OWN_HEADER.to_bytes();
    let mut handshake = || -> Result<_, waypost_sremp::Error> {
        let (initiator, msg1) = Initiator::start(a, Secret::generate(rng), &header)?;
        let responder = Responder::start(b, Secret::generate(rng), &header)?;
        let (waiting, msg2) = responder.read_msg1(&msg1, &header)?;
        let (msg3, to_b) = initiator.read_msg2(&msg2, &header)?.finish(Some(&b.public()))?;
        Ok((to_b, waiting.read_msg3(&msg3)?))
    };
    handshake().map_err(|error| anyhow!("our handshake: {error}"))
}

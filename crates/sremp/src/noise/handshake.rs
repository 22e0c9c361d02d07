//! The three messages of the handshake.

use super::{resolver::Resolver, transport::Transport};
use crate::{
    Error, ErrorCode,
    crypto::{
        label,
        x25519::{PublicKey, Secret},
    },
    version::HEADER_LEN,
};
use snow::{Builder, HandshakeState, params::NoiseParams};

/// The registered spelling is what both sides hash. Profile SR-4.1a.
const NAME: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";
/// Bytes of the first message: a key.
pub const MSG1_LEN: usize = 32;
/// Bytes of the second: two keys, a header, two tags.
pub const MSG2_LEN: usize = 103;
/// Bytes of the third: a key, two tags.
pub const MSG3_LEN: usize = 64;
/// snow wants room for a tag even where none is written.
const ROOM: usize = 128;

/// The static key pair of a side. SREMP 3.1.3: for Noise and nothing else.
#[derive(Clone, Debug)]
pub struct NoiseKeys {
    pub(super) secret: Secret,
    pub(super) public: PublicKey,
}

impl NoiseKeys {
    /// The pair of a secret.
    pub fn new(secret: Secret) -> Self {
        let public = secret.public();
        Self { secret, public }
    }

    /// The public key, as the identity names it.
    pub const fn public(&self) -> PublicKey {
        self.public
    }
}

/// Has sent msg1, waits for msg2.
pub struct Initiator {
    state: HandshakeState,
}

impl Initiator {
    /// Starts with a fresh ephemeral secret and the header as it was sent; gives msg1.
    ///
    /// # Errors
    /// Internal only.
    pub fn start(
        keys: &NoiseKeys,
        ephemeral: Secret,
        header: &[u8; HEADER_LEN],
    ) -> Result<(Self, [u8; MSG1_LEN]), Error> {
        let mut state = builder(keys, ephemeral, &prologue(header), |builder| builder.build_initiator())?;
        let msg1 = write(&mut state, &[])?;
        Ok((Self { state }, msg1))
    }

    /// Reads msg2. What the responder says its header was must be what arrived. Profile SR-10.2c.
    ///
    /// # Errors
    /// MALFORMED length, DECRYPT, VERSION.
    pub fn read_msg2(mut self, msg2: &[u8], header: &[u8; HEADER_LEN]) -> Result<Proven, Error> {
        let payload: [u8; HEADER_LEN] = read::<MSG2_LEN, HEADER_LEN>(&mut self.state, msg2)?;
        if payload != *header {
            return Err(Error::Misbehaved(ErrorCode::Version));
        }
        let theirs = remote_static(&self.state)?;
        Ok(Proven { state: self.state, theirs })
    }
}

/// Knows the responder's static key and has not shown its own.
pub struct Proven {
    state: HandshakeState,
    theirs: PublicKey,
}

impl Proven {
    /// The responder's static key.
    pub const fn theirs(&self) -> PublicKey {
        self.theirs
    }

    /// Writes msg3, which tells the responder who is calling. With a pin only if it holds. Profile SR-4.1.1b.
    ///
    /// # Errors
    /// NOISE_KEY_MISMATCH; DECRYPT for a key of small order.
    pub fn finish(mut self, pin: Option<&PublicKey>) -> Result<([u8; MSG3_LEN], Transport), Error> {
        if pin.is_some_and(|pin| *pin != self.theirs) {
            return Err(Error::Proof(ErrorCode::NoiseKeyMismatch));
        }
        let msg3 = write(&mut self.state, &[])?;
        Ok((msg3, Transport::new(self.state, self.theirs)?))
    }
}

/// Waits for msg1.
pub struct Responder {
    state: HandshakeState,
}

impl Responder {
    /// Starts with a fresh ephemeral secret and the header as the initiator sent it.
    ///
    /// # Errors
    /// Internal only.
    pub fn start(keys: &NoiseKeys, ephemeral: Secret, theirs: &[u8; HEADER_LEN]) -> Result<Self, Error> {
        Ok(Self { state: builder(keys, ephemeral, &prologue(theirs), |builder| builder.build_responder())? })
    }

    /// Reads msg1 and gives msg2, which repeats the own header.
    ///
    /// # Errors
    /// MALFORMED length, DECRYPT for a key of small order.
    pub fn read_msg1(mut self, msg1: &[u8], own: &[u8; HEADER_LEN]) -> Result<(AwaitingMsg3, [u8; MSG2_LEN]), Error> {
        let _: [u8; 0] = read::<MSG1_LEN, 0>(&mut self.state, msg1)?;
        let msg2 = write(&mut self.state, own)?;
        Ok((AwaitingMsg3 { state: self.state }, msg2))
    }
}

/// Has sent msg2, waits for msg3.
pub struct AwaitingMsg3 {
    state: HandshakeState,
}

impl AwaitingMsg3 {
    /// Reads msg3.
    ///
    /// # Errors
    /// MALFORMED length, DECRYPT.
    pub fn read_msg3(mut self, msg3: &[u8]) -> Result<Transport, Error> {
        let _: [u8; 0] = read::<MSG3_LEN, 0>(&mut self.state, msg3)?;
        let theirs = remote_static(&self.state)?;
        Transport::new(self.state, theirs)
    }
}

/// What both sides hash before anything else. Profile SR-4.1d.
fn prologue(header: &[u8; HEADER_LEN]) -> Vec<u8> {
    [label!("noise"), header].concat()
}

fn builder(
    keys: &NoiseKeys,
    ephemeral: Secret,
    prologue: &[u8],
    build: fn(Builder<'_>) -> Result<HandshakeState, snow::Error>,
) -> Result<HandshakeState, Error> {
    let params: NoiseParams = NAME.parse().map_err(|_| Error::Internal("the name of the handshake"))?;
    let resolver = Resolver::new(ephemeral, keys.public);
    Builder::with_resolver(params, Box::new(resolver))
        .local_private_key(&*keys.secret.to_bytes())
        .and_then(|builder| builder.prologue(prologue))
        .and_then(build)
        .map_err(|_| Error::Internal("the handshake could not be set up"))
}

fn write<const N: usize>(state: &mut HandshakeState, payload: &[u8]) -> Result<[u8; N], Error> {
    let mut message = [0; ROOM];
    let length = state.write_message(payload, &mut message).map_err(crypto)?;
    match message.first_chunk() {
        Some(message) if length == N => Ok(*message),
        _ => Err(Error::Internal("a handshake message of another length")),
    }
}

fn read<const N: usize, const PAYLOAD: usize>(
    state: &mut HandshakeState,
    message: &[u8],
) -> Result<[u8; PAYLOAD], Error> {
    if message.len() != N {
        return Err(Error::Malformed("a handshake message of another length"));
    }
    let mut payload = [0; ROOM];
    let length = state.read_message(message, &mut payload).map_err(crypto)?;
    match payload.first_chunk() {
        Some(payload) if length == PAYLOAD => Ok(*payload),
        _ => Err(Error::Malformed("a handshake payload of another length")),
    }
}

fn remote_static(state: &HandshakeState) -> Result<PublicKey, Error> {
    let key = state.get_remote_static().and_then(|key| key.try_into().ok());
    key.map(PublicKey).ok_or(Error::Internal("no static key after the handshake"))
}

/// Which step failed is nobody's business. Profile: "abort and close".
fn crypto(_: snow::Error) -> Error {
    Error::Crypto(ErrorCode::Decrypt)
}

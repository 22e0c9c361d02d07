//! Chains: one key per message, each made from the one before it and never the other way.

use super::{
    MAX_NUMBER, MAX_SKIP,
    header::{ReceivingHeaderKey, SendingHeaderKey},
    message::MessageKey,
};
use crate::{Error, ErrorCode, kdf::hmac_pair};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// CKs or CKr of the profile.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct ChainKey(pub(super) [u8; 32]);

impl ChainKey {
    /// Takes the bytes as they are.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for keeping.
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// KDF_CK of the profile: gives the message key and moves on.
    pub(crate) fn step(&mut self) -> MessageKey {
        let [message, next] = hmac_pair(&self.0, 1, 2);
        self.0 = *next;
        MessageKey(*message)
    }
}

/// The chain we send on.
#[derive(Clone)]
pub(super) struct SendingChain {
    pub(super) header_key: SendingHeaderKey,
    pub(super) key: ChainKey,
    /// Ns: messages sent on it.
    pub(super) number: u32,
}

impl SendingChain {
    /// The number and the key of the next message.
    pub(super) fn step(&mut self) -> Result<(u32, MessageKey), Error> {
        if self.number > MAX_NUMBER {
            return Err(Error::Crypto(ErrorCode::NoSession));
        }
        let number = self.number;
        self.number = self.number.saturating_add(1);
        Ok((number, self.key.step()))
    }
}

/// The chain the peer sends on.
#[derive(Clone)]
pub(super) struct ReceivingChain {
    pub(super) header_key: ReceivingHeaderKey,
    pub(super) key: ChainKey,
    /// Nr: the number expected next.
    pub(super) number: u32,
}

impl ReceivingChain {
    /// The keys of the messages before `number` that have not come yet; the caller has seen that it is not behind.
    pub(super) fn skip_to(&mut self, number: u32) -> Result<Vec<(u32, MessageKey)>, Error> {
        let gap = number.saturating_sub(self.number);
        if gap > MAX_SKIP {
            return Err(Error::Crypto(ErrorCode::SkipLimit));
        }
        let skipped = (self.number..number).map(|n| (n, self.key.step())).collect();
        self.number = self.number.max(number);
        Ok(skipped)
    }

    /// The key of the message expected next.
    pub(super) fn step(&mut self) -> Result<MessageKey, Error> {
        self.number = self.number.checked_add(1).ok_or(Error::Crypto(ErrorCode::Decrypt))?;
        Ok(self.key.step())
    }
}

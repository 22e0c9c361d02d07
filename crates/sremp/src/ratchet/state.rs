//! A ratchet as bytes: all but the skipped keys, which have a record of their own.

use super::{
    OwnRatchetKey, PeerRatchetKey, Ratchet,
    chain::{ChainKey, ReceivingChain, SendingChain},
    header::{ReceivingHeaderKey, SendingHeaderKey},
    root::RootKey,
    skipped::{SkippedKeys, take},
};
use crate::crypto::x25519::{PublicKey, Secret};
use zeroize::Zeroizing;

const SENDING: u8 = 1;
const RECEIVING: u8 = 2;
const PEER: u8 = 4;

impl Ratchet {
    /// Flags, ad, RK, DHs secret and public, NHKs, NHKr, PN, then DHr, HKs CKs Ns and HKr CKr Nr as far as
    /// they exist.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(365));
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        out.push(
            flag(SENDING, self.sending.is_some())
                | flag(RECEIVING, self.receiving.is_some())
                | flag(PEER, self.peer.is_some()),
        );
        out.extend_from_slice(&self.ad);
        out.extend_from_slice(self.root.as_bytes());
        out.extend_from_slice(&*self.own.secret.to_bytes());
        out.extend_from_slice(self.own.public.as_bytes());
        out.extend_from_slice(&self.next_sending.0);
        out.extend_from_slice(&self.next_receiving.0);
        out.extend_from_slice(&self.previous.to_be_bytes());
        if let Some(peer) = &self.peer {
            out.extend_from_slice(peer.0.as_bytes());
        }
        if let Some(chain) = &self.sending {
            out.extend_from_slice(&chain.header_key.0);
            out.extend_from_slice(chain.key.as_bytes());
            out.extend_from_slice(&chain.number.to_be_bytes());
        }
        if let Some(chain) = &self.receiving {
            out.extend_from_slice(&chain.header_key.0);
            out.extend_from_slice(chain.key.as_bytes());
            out.extend_from_slice(&chain.number.to_be_bytes());
        }
        out
    }

    /// Reads what [`Self::encode`] wrote; none if it is anything else.
    pub(crate) fn decode(mut bytes: &[u8], skipped: SkippedKeys) -> Option<Self> {
        let bytes = &mut bytes;
        let [flags] = take(bytes)?;
        if flags > SENDING | RECEIVING | PEER {
            return None;
        }
        let mut ratchet = Self {
            ad: take(bytes)?,
            root: RootKey::from_bytes(take(bytes)?),
            own: OwnRatchetKey { secret: Secret::from_bytes(take(bytes)?), public: PublicKey(take(bytes)?) },
            peer: None,
            sending: None,
            receiving: None,
            next_sending: SendingHeaderKey(take(bytes)?),
            next_receiving: ReceivingHeaderKey(take(bytes)?),
            previous: u32::from_be_bytes(take(bytes)?),
            skipped,
        };
        if flags & PEER != 0 {
            ratchet.peer = Some(PeerRatchetKey(PublicKey(take(bytes)?)));
        }
        if flags & SENDING != 0 {
            ratchet.sending = Some(SendingChain {
                header_key: SendingHeaderKey(take(bytes)?),
                key: ChainKey::from_bytes(take(bytes)?),
                number: u32::from_be_bytes(take(bytes)?),
            });
        }
        if flags & RECEIVING != 0 {
            ratchet.receiving = Some(ReceivingChain {
                header_key: ReceivingHeaderKey(take(bytes)?),
                key: ChainKey::from_bytes(take(bytes)?),
                number: u32::from_be_bytes(take(bytes)?),
            });
        }
        bytes.is_empty().then_some(ratchet)
    }

    /// Every value of the state under its name in the profile, for the vectors.
    pub(crate) fn values(&self) -> Vec<(&'static str, Vec<u8>)> {
        let number = |n: u32| n.to_be_bytes().to_vec();
        let mut values = vec![
            ("dhs", self.own.secret.to_bytes().to_vec()),
            ("rk", self.root.as_bytes().to_vec()),
            ("nhks", self.next_sending.0.to_vec()),
            ("nhkr", self.next_receiving.0.to_vec()),
            ("pn", number(self.previous)),
            ("ns", number(self.sending.as_ref().map_or(0, |chain| chain.number))),
            ("nr", number(self.receiving.as_ref().map_or(0, |chain| chain.number))),
        ];
        values.extend(self.peer.iter().map(|peer| ("dhr", peer.0.as_bytes().to_vec())));
        if let Some(chain) = &self.sending {
            values.push(("hks", chain.header_key.0.to_vec()));
            values.push(("cks", chain.key.as_bytes().to_vec()));
        }
        if let Some(chain) = &self.receiving {
            values.push(("hkr", chain.header_key.0.to_vec()));
            values.push(("ckr", chain.key.as_bytes().to_vec()));
        }
        values
    }
}

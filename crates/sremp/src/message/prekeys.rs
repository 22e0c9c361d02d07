//! Messages about prekeys. Profile SR-5f.

use crate::{
    crypto::ed25519::Signature,
    identity::SignedIdentity,
    msgpack::{Blob, record},
};
use waypost_core::ContactId;

record! {
    /// PUBLISH_PREKEYS: all of it is stored or nothing.
    pub struct PublishPrekeys {
        /// Replaces the one before.
        pub bundle: SignedBundle,
        /// At most 100.
        pub one_time: Vec<SignedOneTime>,
    }

    /// PREKEYS_PUBLISHED.
    #[derive(Copy)]
    pub struct PrekeysPublished {
        /// One-time items the relay has left.
        pub one_time_left: u32,
    }

    /// FETCH_PREKEYS.
    #[derive(Copy)]
    pub struct FetchPrekeys {
        /// Whose.
        pub target: ContactId,
    }

    /// PREKEYS.
    pub struct Prekeys {
        /// Whose.
        pub target: ContactId,
        /// The newest identity known; absent between peers that know each other's.
        pub identity: Option<SignedIdentity>,
        /// The bundle.
        pub bundle: SignedBundle,
        /// An item nobody else was given, if there is one left.
        pub one_time: Option<SignedOneTime>,
    }

    /// Encoded bundle data and its signature.
    pub struct SignedBundle {
        /// The signed bytes.
        pub bundle: Blob,
        /// By the owner's identity key.
        pub signature: Signature,
    }

    /// An encoded one-time item and its signature.
    pub struct SignedOneTime {
        /// The signed bytes.
        pub item: Blob,
        /// By the owner's identity key.
        pub signature: Signature,
    }
}

//! The test vectors of the profile.

mod ratchet;

//! Two connection machines, or one and a peer that breaks the rules, on a virtual clock.

mod chunks;
mod faults;
mod handshake;
mod life;
mod noise_peer;
mod pair;

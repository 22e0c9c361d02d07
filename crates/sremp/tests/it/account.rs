//! Accounts: two that write to each other over messages passed by hand, and one with a peer played by hand.

mod desk;
mod errors;
mod foreign;
mod letters;
mod pair;
mod relay_storm;
mod relays;
mod sessions;
mod side;
mod storm;
mod strangers;
mod town;

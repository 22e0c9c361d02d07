//! The relay beyond what the vectors show: durability, limits, expiry.

mod access;
mod clients;
mod counters;
mod durability;
mod expiry;
mod limits;
mod prekeys;
mod push;
mod storm;

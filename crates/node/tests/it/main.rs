//! Whole engines against each other: real databases, virtual network and time.

mod conversation;
mod storm;
mod world;

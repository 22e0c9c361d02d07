//! The profile's table of threats, by row; each attack is made with what an attacker has.

mod floods;
mod handshakes;
mod tokens;

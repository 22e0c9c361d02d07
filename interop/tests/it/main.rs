//! Tests against independent peers.

mod sremp;
mod sremp_speak;

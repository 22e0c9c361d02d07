//! Tests against independent peers.

mod sremp;

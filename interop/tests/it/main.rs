//! Tests against independent peers.

mod sremp;
mod sremp_servers;
mod sremp_speak;

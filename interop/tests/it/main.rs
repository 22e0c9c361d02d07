//! Tests against independent peers.

mod framelink;
mod framelink_faults;
mod framelink_refusals;
mod proofpeer;
mod sremp;
mod sremp_servers;
mod sremp_speak;

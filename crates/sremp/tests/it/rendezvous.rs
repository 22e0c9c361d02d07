//! The rendezvous server beyond what the vectors show: durability, limits, expiry, several processes.

mod clients;
mod limits;
mod registrations;

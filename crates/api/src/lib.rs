//! The node's methods for programs on the same machine, as JSON-RPC 2.0.
//!
//! ```text
//! unix socket --lines--+
//! stdio --------lines--+--> rpc::answer --> Call::parse --> Node::call --> answer (after the commit)
//! HTTP POST /rpc ------+
//!                           Node::events --> notifications "event" (lines), GET /events (HTTP)
//! ```
//! The methods, their parameters and results are defined in `waypost-node`; nothing here knows any of
//! them by name. [`document`] describes them as an OpenRPC document. Here are the transports, their
//! bounds, the token of HTTP, and the typed [`Client`] of the socket.
//!
//! ```
//! let document = waypost_api::document();
//! assert_eq!(document["info"]["title"], "Waypost");
//! assert!(document["methods"].as_array().is_some_and(|methods| !methods.is_empty()));
//! ```

mod client;
mod error;
mod http;
mod limits;
mod lines;
mod openrpc;
mod rpc;
mod server;
mod service;
mod token;

pub use client::{Client, ClientEvents};
pub use error::{ClientError, Error};
pub use lines::serve_lines;
pub use openrpc::document;
pub use rpc::{Fault, FaultData};
pub use server::Server;

//! TLS of rendezvous servers: 1.3 only, `sremp-rdv/1` as the application protocol, no early data, no client
//! certificates, no resumption. Profile, Rendezvous framing.

mod certificate;
mod client;
mod server;

pub use client::{ClientTls, TlsFault};
pub use server::ServerTls;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use std::sync::Arc;

/// AWS-LC, which draws its own randomness.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The server's id in the profile's sense.
fn server_id(certificate: &CertificateDer<'_>) -> Result<[u8; 32], rustls::Error> {
    let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    Ok(waypost_sremp::rendezvous::server_id(&key))
}

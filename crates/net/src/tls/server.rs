//! The server's side: its certificate, and who is let in.

use super::{certificate, provider, server_id};
use crate::Error;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, version};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use waypost_sremp::rendezvous::ALPN;

/// Takes TLS connections as one server.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    id: [u8; 32],
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").field("id", &self.id).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// With a certificate chain, its own certificate first, and its key, both PEM.
    ///
    /// # Errors
    /// [`Error::Certificate`]: a file cannot be read, or they do not fit each other.
    pub fn from_pem_files(chain: &Path, key: &Path) -> Result<Self, Error> {
        let certificates = certificate::read_chain(chain)?;
        let secret = certificate::read_key(key)?;
        Self::new(certificates, secret).map_err(|error| Error::certificate(chain, &error))
    }

    /// With a certificate of its own making, which is in this file from then on, so that its id stays the
    /// same. Clients know it by its id alone.
    ///
    /// # Errors
    /// [`Error::Certificate`]: the file cannot be read or made.
    pub fn self_signed(file: &Path) -> Result<Self, Error> {
        certificate::make_unless_there(file)?;
        Self::from_pem_files(file, file)
    }

    /// SHA-256 of its public key: to what registrations are bound, and the pin of its URI.
    pub const fn id(&self) -> [u8; 32] {
        self.id
    }

    /// Does the handshake.
    ///
    /// # Errors
    /// Whoever is there does not speak the protocol.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let stream = self.acceptor.accept(stream).await?;
        // rustls refuses other protocols, but lets in who names none.
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no application protocol"));
        }
        Ok(stream)
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, rustls::Error> {
        let id = server_id(chain.first().ok_or(rustls::Error::NoCertificatesPresented)?)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), id })
    }
}

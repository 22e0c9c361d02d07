//! The client's side: who is believed to be the server.

use super::{provider, server_id};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, version};
use std::io;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use waypost_sremp::endpoint::Host;
use waypost_sremp::rendezvous::{ALPN, ServerUri};

/// Why there is no TLS with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// Its key is not the pinned one.
    #[error("the server has another key than the pinned one")]
    WrongPin,
    /// Its certificate is for other names.
    #[error("the server's certificate is for another name")]
    WrongName,
    /// Its certificate is expired, or signed by nobody known.
    #[error("the server's certificate is not valid")]
    BadCertificate,
    /// It does not speak the protocol of rendezvous servers, or not TLS 1.3.
    #[error("the server is no rendezvous server")]
    OtherProtocol,
    /// The connection broke, or what came is no TLS.
    #[error("the TLS handshake failed")]
    Broken,
}

/// Opens TLS to rendezvous servers.
#[derive(Clone, Debug)]
pub struct ClientTls {
    roots: Arc<RootCertStore>,
}

impl Default for ClientTls {
    /// Believes the certificate authorities that browsers believe.
    fn default() -> Self {
        Self { roots: Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()) }
    }
}

impl ClientTls {
    /// Believes these certificate authorities (DER) and no others.
    ///
    /// # Errors
    /// One of them is none.
    pub fn with_roots<'a>(roots: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, TlsFault> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(CertificateDer::from(root.to_vec())).map_err(|_| TlsFault::BadCertificate)?;
        }
        Ok(Self { roots: Arc::new(store) })
    }

    /// Does the handshake. Gives the server's id as well, to which registrations are bound.
    ///
    /// # Errors
    /// Nothing was sent but the handshake.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        server: &ServerUri,
        stream: S,
    ) -> Result<(TlsStream<S>, [u8; 32]), TlsFault> {
        let name = match server.endpoint.host() {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| TlsFault::WrongName)?,
            // No SNI is sent for these.
            Host::V4(address) => ServerName::from(*address),
            Host::V6(address) => ServerName::from(*address),
        };
        let config = self.config(server.pin).map_err(|error| fault(&error))?;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let stream = connected.map_err(|error| io_fault(&error))?;
        let session = stream.get_ref().1;
        if session.alpn_protocol() != Some(ALPN) {
            return Err(TlsFault::OtherProtocol);
        }
        let leaf = session.peer_certificates().and_then(<[_]>::first).ok_or(TlsFault::BadCertificate)?;
        let id = server_id(leaf).map_err(|error| fault(&error))?;
        Ok((stream, id))
    }

    fn config(&self, pin: Option<[u8; 32]>) -> Result<ClientConfig, rustls::Error> {
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&[&version::TLS13])?;
        let mut config = match pin {
            Some(pin) => {
                let verifier = Arc::new(PinVerifier { pin, algorithms });
                builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
            }
            None => {
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), provider).build();
                let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
                builder.with_webpki_verifier(verifier).with_no_client_auth()
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// Believes whoever owns one key, whatever else the certificate says.
#[derive(Debug)]
struct PinVerifier {
    pin: [u8; 32],
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if bool::from(server_id(leaf)?.ct_eq(&self.pin)) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn io_fault(error: &io::Error) -> TlsFault {
    error.get_ref().and_then(|inner| inner.downcast_ref()).map_or(TlsFault::Broken, fault)
}

fn fault(error: &rustls::Error) -> TlsFault {
    use rustls::{AlertDescription as Alert, Error as E};
    match error {
        E::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => TlsFault::WrongPin,
        E::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            TlsFault::WrongName
        }
        E::InvalidCertificate(_) | E::UnsupportedNameType | E::NoCertificatesPresented => TlsFault::BadCertificate,
        E::NoApplicationProtocol
        | E::PeerIncompatible(_)
        | E::AlertReceived(Alert::NoApplicationProtocol | Alert::ProtocolVersion) => TlsFault::OtherProtocol,
        _ => TlsFault::Broken,
    }
}

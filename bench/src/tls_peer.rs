//! TLS 1.3 by rustls with AWS-LC, both sides in memory.

use anyhow::{Context, Result, bail};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection,
    SideData,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use std::{io::Write, sync::Arc};

const HOST: &str = "bench.test";

/// Who shows a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The server alone, as on the web.
    Server,
    /// Both, as in SREMP.
    Both,
}

/// What both sides' keys come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    X25519,
    /// X25519 and ML-KEM-768.
    Hybrid,
}

/// Both sides' configurations: certificates with ECDSA on P-256, nothing resumed.
pub(crate) struct Tls {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Tls {
    pub(crate) fn new(shown: Shown, exchange: Exchange, cipher: CipherSuite) -> Result<Self> {
        let mut provider: CryptoProvider = aws_lc_rs::default_provider();
        provider.kx_groups = match exchange {
            Exchange::X25519 => vec![aws_lc_rs::kx_group::X25519],
            Exchange::Hybrid => vec![aws_lc_rs::kx_group::X25519MLKEM768],
        };
        provider.cipher_suites.retain(|suite| suite.suite() == cipher);
        let provider = Arc::new(provider);

        let (client_chain, client_key) = certificate()?;
        let (server_chain, server_key) = certificate()?;
        let (servers, clients) = (roots(&server_chain)?, roots(&client_chain)?);
        let client = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13])?;
        let client = client.with_root_certificates(servers);
        let mut client = match shown {
            Shown::Server => client.with_no_client_auth(),
            Shown::Both => client.with_client_auth_cert(client_chain, client_key)?,
        };
        client.resumption = Resumption::disabled();
        let server = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13])?;
        let server = match shown {
            Shown::Server => server.with_no_client_auth(),
            Shown::Both => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients), provider).build()?;
                server.with_client_cert_verifier(verifier)
            }
        };
        let mut server = server.with_single_cert(server_chain, server_key)?;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }

    /// A whole handshake.
    pub(crate) fn handshake(&self) -> Result<(ClientConnection, ServerConnection)> {
        self.counted_handshake().map(|(client, server, _)| (client, server))
    }

    /// A whole handshake, and its bytes on the wire.
    pub(crate) fn counted_handshake(&self) -> Result<(ClientConnection, ServerConnection, usize)> {
        let mut client = ClientConnection::new(self.client.clone(), ServerName::try_from(HOST)?)?;
        let mut server = ServerConnection::new(self.server.clone())?;
        let (mut wire, mut bytes) = (Vec::new(), 0);
        for _ in 0..4 {
            carry(&mut client, &mut server, &mut wire)?;
            bytes += wire.len();
            carry(&mut server, &mut client, &mut wire)?;
            bytes += wire.len();
            if !client.is_handshaking() && !server.is_handshaking() {
                return Ok((client, server, bytes));
            }
        }
        bail!("the TLS handshake does not end")
    }
}

/// Sends a text from one side to the other; `wire` and `text` are room that is used again.
pub(crate) fn transfer(
    client: &mut ClientConnection,
    server: &mut ServerConnection,
    plaintext: &[u8],
    wire: &mut Vec<u8>,
    text: &mut [u8],
) -> Result<()> {
    client.writer().write_all(plaintext)?;
    wire.clear();
    while client.wants_write() {
        client.write_tls(wire)?;
    }
    let (mut arrived, mut read) = (wire.as_slice(), 0);
    while !arrived.is_empty() {
        server.read_tls(&mut arrived)?;
        server.process_new_packets()?;
        let place = text.get_mut(read..).context("more came than was sent")?;
        read += std::io::Read::read(&mut server.reader(), place).or_else(none_yet)?;
    }
    while read < plaintext.len() {
        let place = text.get_mut(read..).context("more came than was sent")?;
        read += std::io::Read::read(&mut server.reader(), place)?;
    }
    Ok(())
}

fn none_yet(error: std::io::Error) -> std::io::Result<usize> {
    if error.kind() == std::io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) }
}

/// Hands over what one side has to say; it is in `wire` afterwards.
pub(crate) fn carry<A: SideData, B: SideData>(
    from: &mut ConnectionCommon<A>,
    to: &mut ConnectionCommon<B>,
    wire: &mut Vec<u8>,
) -> Result<()> {
    wire.clear();
    while from.wants_write() {
        from.write_tls(wire)?;
    }
    let mut arrived = wire.as_slice();
    while !arrived.is_empty() {
        to.read_tls(&mut arrived)?;
        to.process_new_packets()?;
    }
    Ok(())
}

/// Signed by itself, so that one signature proves it.
fn certificate() -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.der().clone()], key.into()))
}

fn roots(chain: &[CertificateDer<'static>]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in chain {
        roots.add(certificate.clone())?;
    }
    Ok(roots)
}

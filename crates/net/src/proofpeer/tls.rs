//! TLS to brokers: the server's name is verified, and nothing turns that off. Profile, MQTT.

use crate::Error;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// Believes the authorities in a PEM file, or without one those that browsers believe.
pub(super) fn client(ca: Option<&Path>) -> Result<Arc<ClientConfig>, Error> {
    let roots = match ca {
        Some(file) => read_roots(file)?,
        None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| Error::Tls(error.to_string()))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn read_roots(file: &Path) -> Result<RootCertStore, Error> {
    let wrong = |error: &dyn ToString| Error::certificate(file, &error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))? {
        roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() { Err(wrong(&"there is no certificate in it")) } else { Ok(roots) }
}

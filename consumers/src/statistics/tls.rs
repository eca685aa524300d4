//! HTTPS to ClickHouse with authorities of one's own; the client's default trusts Mozilla's.

use clickhouse::Client;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

/// Why the authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file holds none.
    #[error("holds no certificate")]
    Empty,
    /// Not PEM.
    #[error("is not PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// Not a certificate.
    #[error("holds a certificate that cannot be used: {0}")]
    Certificate(#[from] rustls::Error),
}

/// A client that trusts the authorities in `pem` alone, with the timings of the default one.
///
/// Errors: [`TlsError`].
pub fn client(pem: &[u8]) -> Result<Client, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err(TlsError::Empty);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.set_keepalive(Some(Duration::from_secs(60)));
    tcp.enforce_http(false);
    let tls = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().wrap_connector(tcp);
    let mut http = HttpClient::builder(TokioExecutor::new());
    // ClickHouse itself closes idle connections after 3 s.
    http.pool_idle_timeout(Duration::from_secs(2));
    Ok(Client::with_http_client(http.build(tls)))
}

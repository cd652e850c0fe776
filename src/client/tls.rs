//! Whom a native program trusts when it opens `wss`.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::Connector;
use tokio_tungstenite::tungstenite::Error;

/// The machine's own certificates, read once.
static MACHINE: OnceLock<RootCertStore> = OnceLock::new();

/// Trusts the machine's certificates and those of `ca`, in PEM.
pub(super) fn connector(ca: Option<&str>) -> Result<Connector, Error> {
    let mut roots = MACHINE
        .get_or_init(|| {
            let mut roots = RootCertStore::empty();
            // One that cannot be read is one that is not trusted.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        })
        .clone();
    if let Some(ca) = ca {
        let refuse = |cause: String| {
            let text = format!("ca_certificates holds no certificate in PEM: {cause}");
            Error::Io(io::Error::new(io::ErrorKind::InvalidInput, text))
        };
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(ca.as_bytes()).collect();
        let certificates = certificates.map_err(|error| refuse(error.to_string()))?;
        if certificates.is_empty() {
            return Err(refuse("nothing in it".to_owned()));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| refuse(error.to_string()))?;
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Io(io::Error::other(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Connector::Rustls(Arc::new(config)))
}

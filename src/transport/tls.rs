//! TLS 1.2 and 1.3: the certificate and its key from PEM files, and the handshake.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::stream::Kind;

/// A whole handshake must come within this time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What every TLS connection of the gateway begins with.
#[derive(Clone)]
pub struct Tls(Arc<RwLock<TlsAcceptor>>);

impl Tls {
    /// Reads the certificate with its chain, and its key.
    ///
    /// # Errors
    /// One line that names the setting, the file, the cause and the mend.
    pub fn load(cert: &Path, key: &Path) -> io::Result<Self> {
        let certs = CertificateDer::pem_file_iter(cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| refuse("tls-cert", cert, error))?;
        if certs.is_empty() {
            return Err(refuse("tls-cert", cert, "it holds no certificate"));
        }
        let private =
            PrivateKeyDer::from_pem_file(key).map_err(|error| refuse("tls-key", key, error))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(certs, private)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    let text = format!("it is not the key of {}", cert.display());
                    refuse("tls-key", key, text)
                }
                error => refuse("tls-cert", cert, error),
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(RwLock::new(Arc::new(config).into()))))
    }

    /// From now on connections begin with the other's certificate.
    pub fn replace(&self, other: &Self) {
        let other = other.0.read().clone();
        *self.0.write() = other;
    }

    /// The handshake. It runs on the shard that will own the socket.
    ///
    /// # Errors
    /// When the peer does not speak TLS, or not in time.
    pub(super) async fn accept(&self, tcp: TcpStream) -> io::Result<Kind> {
        let acceptor = self.0.read().clone();
        let handshake = acceptor.accept(tcp);
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await??;
        Ok(Kind::Tls(Box::new(stream)))
    }
}

fn refuse(setting: &str, file: &Path, cause: impl Display) -> io::Error {
    let what = if setting == "tls-cert" {
        "a certificate"
    } else {
        "its private key"
    };
    let file = file.display();
    let text = format!("{setting}: {file}: {cause}; give a PEM file with {what}");
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

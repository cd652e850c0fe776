//! One GET of a small document, bounded. Redirects are not followed.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use axum::body::{Body, to_bytes};
use http::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The largest key set that is read.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// Checks the address of a key set.
///
/// # Errors
/// Why it cannot be used, and the mend.
pub(in crate::auth) fn check_url(url: &str) -> Result<Uri, String> {
    let uri: Uri = url
        .parse()
        // It may hold a password, and is not repeated.
        .map_err(|_| "is not a URL such as https://id.example.com/jwks.json")?;
    let authority = uri
        .authority()
        .map(http::uri::Authority::as_str)
        .unwrap_or_default();
    if authority.contains('@') {
        return Err("must not hold a user name or password".to_owned());
    }
    let host = host(&uri);
    if host.is_empty() {
        return Err(format!(
            "{url:?} is not a URL such as https://id.example.com/jwks.json"
        ));
    }
    let loopback = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if loopback => Ok(uri),
        Some("http") => Err(format!(
            "{url:?} is not encrypted, so anybody on the way could put in keys; use https (http is for this machine only)"
        )),
        _ => Err(format!("{url:?} is neither https nor http")),
    }
}

/// The host without the brackets of an IPv6 address.
fn host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// The system's root certificates, so that a private authority works too. Read once.
static TLS: LazyLock<Result<Arc<ClientConfig>, String>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(
            "this system has no root certificates; install ca-certificates or set SSL_CERT_FILE"
                .to_owned(),
        );
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
});

/// The body of the document. The caller sets the time limit.
///
/// # Errors
/// The reason, for the log.
pub(super) async fn get(uri: &Uri) -> Result<Vec<u8>, String> {
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let host = host(uri);
    let connected = TcpStream::connect((host, port)).await;
    let socket = connected.map_err(|error| format!("cannot connect: {error}"))?;
    if secure {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(TLS.clone()?);
        let socket = connector.connect(name, socket).await;
        exchange(socket.map_err(|error| format!("TLS failed: {error}"))?, uri).await
    } else {
        exchange(socket, uri).await
    }
}

async fn exchange(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    uri: &Uri,
) -> Result<Vec<u8>, String> {
    let failed = |error: hyper::Error| format!("HTTP failed: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
        .await
        .map_err(failed)?;
    let path = uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let authority = uri
        .authority()
        .map(http::uri::Authority::as_str)
        .unwrap_or_default();
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(
            header::USER_AGENT,
            concat!("micro-socket/", env!("CARGO_PKG_VERSION")),
        )
        .body(Body::empty())
        .map_err(|error| error.to_string())?;
    // The connection is driven here, so that it ends with this call.
    let answer = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(format!("it answered {}", response.status()));
        }
        let body = to_bytes(Body::new(response.into_body()), MAX_BODY_BYTES).await;
        body.map(|body| body.to_vec())
            .map_err(|error| format!("its answer cannot be read: {error}"))
    };
    let mut answer = std::pin::pin!(answer);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        answer = answer.as_mut() => answer,
        ended = connection.as_mut() => {
            // The body may be here in full although the connection has ended.
            ended.map_err(failed)?;
            answer.await
        }
    }
}

//! The files of the page: inside the binary in a release build, read from the site folder
//! otherwise (`LEPTOS_SITE_ROOT`, default `target/site`), so that `make watch` shows changes.
//!
//! Names carry no hash. A browser asks each time and is answered 304 while its copy is good, so a
//! new binary is never mixed with old files.
//!
//! Uses: protocol.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::LazyLock;
use std::{env, fs};

use axum::Json;
use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::json;

use crate::protocol::codes::ErrorCode;

/// Path, content, and the content compressed with brotli; written by `build.rs`.
type Embedded = (&'static str, &'static [u8], Option<&'static [u8]>);

const EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

static TABLE: LazyLock<HashMap<&str, Asset>> = LazyLock::new(|| {
    EMBEDDED
        .iter()
        .map(|&(path, plain, brotli)| {
            let brotli = brotli.map(Bytes::from_static);
            (path, Asset::new(path, Bytes::from_static(plain), brotli))
        })
        .collect()
});

/// The JavaScript client, made from `clients/js`: a public script, which pages of any origin may
/// import.
const CLIENT: &str = "/client.js";

/// A file of the page.
#[derive(Debug, Clone)]
pub struct Asset {
    /// For `Content-Type`.
    pub content_type: &'static str,
    /// The content.
    pub plain: Bytes,
    /// The content compressed with brotli, where the build made that.
    pub brotli: Option<Bytes>,
    /// Names this content.
    hash: u64,
}

impl Asset {
    fn new(path: &str, plain: Bytes, brotli: Option<Bytes>) -> Self {
        let mut hasher = DefaultHasher::new();
        plain.hash(&mut hasher);
        Self {
            content_type: content_type(path),
            hash: hasher.finish(),
            plain,
            brotli,
        }
    }
}

/// The file with this path, which begins with a slash and is taken as it stands.
#[must_use]
pub fn lookup(path: &str) -> Option<Asset> {
    if EMBEDDED.is_empty() {
        let root = env::var_os("LEPTOS_SITE_ROOT");
        let root = root.unwrap_or_else(|| "target/site".into());
        read(Path::new(&root), path)
    } else {
        TABLE.get(path).cloned()
    }
}

/// Reads a file of the development build.
fn read(root: &Path, path: &str) -> Option<Asset> {
    let relative = path.strip_prefix('/')?;
    let plain_name = |part: &str| {
        !part.starts_with('.')
            && !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if !relative.split('/').all(plain_name) {
        return None;
    }
    let content = fs::read(root.join(relative)).ok()?;
    Some(Asset::new(path, content.into(), None))
}

fn content_type(path: &str) -> &'static str {
    let (_, extension) = path.rsplit_once('.').unwrap_or_default();
    match extension {
        "js" => "text/javascript; charset=utf-8",
        "wasm" => "application/wasm",
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Answers GET and HEAD for a file of the page; 404 for everything else.
pub async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let found = match method {
        Method::GET | Method::HEAD => lookup(uri.path()),
        _ => None,
    };
    match found {
        Some(asset) => {
            let mut response = answer(&method, &headers, asset);
            share(uri.path(), &mut response);
            response
        }
        None => not_found(&method, &uri),
    }
}

fn answer(method: &Method, headers: &HeaderMap, asset: Asset) -> Response {
    let (body, encoding) = match asset.brotli {
        Some(brotli) if accepts_brotli(headers) => (brotli, Some("br")),
        _ => (asset.plain, None),
    };
    let etag = format!("\"{:016x}{}\"", asset.hash, encoding.unwrap_or_default());
    let mut response = if is_current(headers, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let length = HeaderValue::from(body.len());
        let body = if method == Method::HEAD {
            Body::empty()
        } else {
            Body::from(body)
        };
        let mut response = Response::new(body);
        let out = response.headers_mut();
        out.insert(header::CONTENT_LENGTH, length);
        out.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(asset.content_type),
        );
        if let Some(encoding) = encoding {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    };
    let out = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        out.insert(header::ETAG, etag);
    }
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    out.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Answers where there are no files, at the door of operators.
pub async fn nothing(method: Method, uri: Uri) -> Response {
    missing(&method, &uri, "/openapi.json lists the endpoints")
}

/// Answers at the public door for what operators have a door of their own for.
pub async fn elsewhere(method: Method, uri: Uri) -> Response {
    missing(&method, &uri, "it is answered at admin-addr only")
}

fn not_found(method: &Method, uri: &Uri) -> Response {
    missing(method, uri, "/openapi lists the endpoints")
}

fn missing(method: &Method, uri: &Uri, hint: &str) -> Response {
    let message = format!("there is no {method} {} here; {hint}", uri.path());
    let body = json!({ "error": { "code": ErrorCode::BadRequest.as_str(), "message": message } });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// Lets pages of any origin import the client.
fn share(path: &str, response: &mut Response) {
    if path == CLIENT {
        let any = HeaderValue::from_static("*");
        let out = response.headers_mut();
        out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    }
}

/// All values of a comma-separated header.
fn list(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// RFC 9110 section 12.5.3: named with a weight above 0, or not named and `*` is.
fn accepts_brotli(headers: &HeaderMap) -> bool {
    let weight = |coding: &str| {
        list(headers, header::ACCEPT_ENCODING).find_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            if !parts.next()?.eq_ignore_ascii_case(coding) {
                return None;
            }
            let quality = parts.find_map(|part| part.strip_prefix(['q', 'Q'])?.strip_prefix('='));
            Some(quality.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0)))
        })
    };
    weight("br")
        .or_else(|| weight("*"))
        .is_some_and(|q| q > 0.0)
}

/// RFC 9110 section 13.1.2: weak comparison with each tag, or `*`.
fn is_current(headers: &HeaderMap, etag: &str) -> bool {
    list(headers, header::IF_NONE_MATCH)
        .map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
        .any(|tag| tag == "*" || tag == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset() -> Asset {
        Asset::new(
            "/pkg/a.js",
            Bytes::from_static(b"plain text"),
            Some(Bytes::from_static(b"brotli")),
        )
    }

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    async fn body(response: Response) -> Bytes {
        axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap()
    }

    #[test]
    fn brotli_is_used_only_when_accepted() {
        for (value, expected) in [
            ("br", true),
            ("gzip, deflate, br, zstd", true),
            ("gzip;q=1.0, BR;q=0.5", true),
            ("*", true),
            ("*;q=0, br", true),
            ("br;q=0, *", false),
            ("br;q=0.000", false),
            ("br; q=0", false),
            ("gzip", false),
            ("brotli", false),
            ("br;q=abc", false),
            ("", false),
        ] {
            let headers = headers(&[(header::ACCEPT_ENCODING, value)]);
            assert_eq!(accepts_brotli(&headers), expected, "{value}");
        }
        assert!(!accepts_brotli(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn each_encoding_has_its_own_tag() {
        let accept = headers(&[(header::ACCEPT_ENCODING, "br")]);
        let compressed = answer(&Method::GET, &accept, asset());
        let plain = answer(&Method::GET, &HeaderMap::new(), asset());
        assert_eq!(compressed.headers()[header::CONTENT_ENCODING], "br");
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        assert_ne!(
            compressed.headers()[header::ETAG],
            plain.headers()[header::ETAG]
        );
        for response in [&compressed, &plain] {
            assert_eq!(response.headers()[header::VARY], "accept-encoding");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
            assert_eq!(
                response.headers()[header::X_CONTENT_TYPE_OPTIONS],
                "nosniff"
            );
        }
        assert_eq!(body(compressed).await, "brotli");
        assert_eq!(body(plain).await, "plain text");
    }

    #[tokio::test]
    async fn a_good_copy_is_not_sent_again() {
        let tag = answer(&Method::GET, &HeaderMap::new(), asset()).headers()[header::ETAG].clone();
        for value in [
            tag.to_str().unwrap().to_owned(),
            format!("\"other\", W/{}", tag.to_str().unwrap()),
            "*".to_owned(),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, value.parse().unwrap());
            let response = answer(&Method::GET, &headers, asset());
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{value}");
            assert_eq!(response.headers()[header::ETAG], tag);
            assert!(body(response).await.is_empty());
        }
        let other = headers(&[(header::IF_NONE_MATCH, "\"other\"")]);
        assert_eq!(
            answer(&Method::GET, &other, asset()).status(),
            StatusCode::OK
        );
    }

    #[tokio::test]
    async fn only_the_client_is_for_pages_of_any_origin() {
        for (path, allowed) in [(CLIENT, true), ("/robots.txt", false)] {
            let mut response = answer(&Method::GET, &HeaderMap::new(), asset());
            share(path, &mut response);
            let header = header::ACCESS_CONTROL_ALLOW_ORIGIN;
            assert_eq!(response.headers().contains_key(header), allowed, "{path}");
        }
    }

    #[tokio::test]
    async fn head_tells_the_length_without_the_body() {
        let response = answer(&Method::HEAD, &HeaderMap::new(), asset());
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "10");
        assert!(body(response).await.is_empty());
    }

    #[tokio::test]
    async fn what_is_not_there_is_a_json_404() {
        for (method, path) in [(Method::GET, "/nothing"), (Method::POST, "/robots.txt")] {
            let response = serve(method, path.parse().unwrap(), HeaderMap::new()).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            let json: serde_json::Value = serde_json::from_slice(&body(response).await).unwrap();
            assert_eq!(json["error"]["code"], "BAD_REQUEST");
            assert!(json["error"]["message"].as_str().unwrap().contains(path));
        }
    }

    #[test]
    fn nothing_outside_the_site_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        fs::create_dir_all(site.join("pkg/.git")).unwrap();
        for (name, content) in [
            ("secret", "s"),
            ("site/.env", "s"),
            ("site/pkg/a.css", "ok"),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let css = read(&site, "/pkg/a.css").unwrap();
        assert_eq!(css.plain, "ok");
        assert_eq!(css.content_type, "text/css; charset=utf-8");
        for path in [
            "/../secret",
            "/pkg/../../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/..\\secret",
            "//secret",
            "/.env",
            "/pkg/./a.css",
            "/pkg",
            "/",
            "",
            "pkg/a.css",
            "/pkg/a.css\0",
            "/etc/passwd",
        ] {
            assert!(read(&site, path).is_none(), "{path}");
        }
        let absolute = format!("/{}", folder.path().join("secret").display());
        assert!(read(&site, &absolute).is_none());
    }
}

//! The handshake's key (RFC 6455 section 4.2.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// The fixed text that every WebSocket server appends to the client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`, or `None` when the key is not 16 bytes in
/// base64 (RFC 6455 section 4.2.1).
#[must_use]
pub fn accept_key(key: &[u8]) -> Option<String> {
    if STANDARD.decode(key).ok()?.len() != 16 {
        return None;
    }
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    Some(STANDARD.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(
            accept_key(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap(),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(accept_key(b"short"), None);
        assert_eq!(accept_key(b""), None);
    }
}

//! Signatures from publisher to subscriber (promise I7). The gateway carries `sig` and never reads it.
//!
//! What is signed is, for each of topic, message id and payload in this order, its length in bytes as
//! an unsigned 64-bit big-endian number and then its bytes (UTF-8; the payload exactly as it is
//! published). No two messages have the same signed bytes. `sig` is `hmac-sha256:` and the 64
//! lower-case hexadecimal digits of the HMAC-SHA256.
//!
//! A test vector:
//!
//! ```text
//! key        0123456789abcdef0123456789abcdef            (32 bytes of ASCII)
//! topic      prices
//! messageId  m-1
//! payload    {"bid":100, "ask":101}                      (with its space)
//! signed     0000000000000006 707269636573
//!            0000000000000003 6d2d31
//!            0000000000000016 7b22626964223a3130302c202261736b223a3130317d
//! sig        hmac-sha256:3556e417f30e2b798dee4f20664de41217f7fadbbb82a4e0b913e206ebd84867
//! ```

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::event::Message;

const SCHEME: &str = "hmac-sha256:";
/// Shorter keys are weaker than the hash.
const MIN_KEY_BYTES: usize = 32;

/// A secret that publisher and subscriber share.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// A key of fewer than 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing key needs at least {MIN_KEY_BYTES} bytes; make one with `openssl rand 32`")]
pub struct WeakKey;

/// Why a message is not what its publisher signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It carries no signature.
    #[error("the message is not signed")]
    Missing,
    /// Its signature is not one of ours.
    #[error("the signature is not `hmac-sha256:` and 64 hexadecimal digits")]
    Unknown,
    /// Topic, message id or payload are not what was signed with this key.
    #[error("the signature does not fit the message")]
    Mismatch,
}

impl SigningKey {
    /// A key of at least 32 random bytes.
    ///
    /// # Errors
    /// [`WeakKey`] for fewer.
    pub fn new(bytes: &[u8]) -> Result<Self, WeakKey> {
        if bytes.len() < MIN_KEY_BYTES {
            return Err(WeakKey);
        }
        Hmac::new_from_slice(bytes).map(Self).map_err(|_| WeakKey)
    }

    /// The `sig` of a message.
    #[must_use]
    pub fn sign(&self, topic: &str, message_id: &str, payload: &str) -> String {
        let mut sig = SCHEME.to_owned();
        for byte in self.mac(topic, message_id, payload).finalize().into_bytes() {
            let _ = write!(sig, "{byte:02x}"); // writing to a string cannot fail
        }
        sig
    }

    /// Compares in constant time.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(
        &self,
        topic: &str,
        message_id: &str,
        payload: &str,
        sig: &str,
    ) -> Result<(), SignatureError> {
        let digest = sig.strip_prefix(SCHEME).and_then(from_hex);
        self.mac(topic, message_id, payload)
            .verify_slice(&digest.ok_or(SignatureError::Unknown)?)
            .map_err(|_| SignatureError::Mismatch)
    }

    fn mac(&self, topic: &str, message_id: &str, payload: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [topic, message_id, payload] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

impl Message {
    /// Whether the message is what a holder of `key` published, byte for byte.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, key: &SigningKey) -> Result<(), SignatureError> {
        let sig = self.sig.as_deref().ok_or(SignatureError::Missing)?;
        key.verify(&self.topic, &self.message_id, self.data.get(), sig)
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &str = r#"{"bid":100, "ask":101}"#;
    const SIG: &str =
        "hmac-sha256:3556e417f30e2b798dee4f20664de41217f7fadbbb82a4e0b913e206ebd84867";

    fn key() -> SigningKey {
        SigningKey::new(b"0123456789abcdef0123456789abcdef").unwrap()
    }

    #[test]
    fn the_test_vector() {
        assert_eq!(key().sign("prices", "m-1", PAYLOAD), SIG);
        assert_eq!(key().verify("prices", "m-1", PAYLOAD, SIG), Ok(()));
    }

    #[test]
    fn whatever_changes_breaks_it() {
        for (topic, id, payload) in [
            ("price", "sm-1", PAYLOAD),
            ("prices", "m-2", PAYLOAD),
            ("prices", "m-1", r#"{"bid":100,"ask":101}"#),
        ] {
            assert_eq!(
                key().verify(topic, id, payload, SIG),
                Err(SignatureError::Mismatch)
            );
        }
        let other = SigningKey::new(&[7; 32]).unwrap();
        assert_eq!(
            other.verify("prices", "m-1", PAYLOAD, SIG),
            Err(SignatureError::Mismatch)
        );
        for sig in [
            "",
            "hmac-sha256:",
            &SIG[12..],
            &SIG.to_uppercase(),
            &SIG[..75],
        ] {
            assert_eq!(
                key().verify("prices", "m-1", PAYLOAD, sig),
                Err(SignatureError::Unknown)
            );
        }
    }

    #[test]
    fn a_short_key_is_refused_and_none_is_shown() {
        assert_eq!(SigningKey::new(&[0; 31]).unwrap_err(), WeakKey);
        assert_eq!(format!("{:?}", key()), "SigningKey(…)");
    }
}

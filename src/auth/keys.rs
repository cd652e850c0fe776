//! Keys that tokens are verified with, and why a weak or mistaken one is refused at the start.
//!
//! One key has one algorithm: what the token's header says is compared with it, never followed.
//!
//! Invariant: pure.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Header, Validation};

use crate::protocol::{ErrorCode, Refusal, Token};

use crate::token::Claims;

/// The shortest HS256 secret, in bytes: the size of the hash (RFC 7518 section 3.2).
const MIN_SECRET_BYTES: usize = 32;
/// The shortest RSA modulus, in bytes: 2048 bits (RFC 7518 section 3.3).
pub(super) const MIN_RSA_BYTES: usize = 256;
/// The object identifier of the curve P-256 in DER.
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// A key and the one algorithm it is used with.
#[derive(Debug, Clone)]
pub(super) struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Key {
    pub(super) const fn new(algorithm: Algorithm, key: DecodingKey) -> Self {
        Self { algorithm, key }
    }

    /// An HS256 key.
    pub(super) fn of_secret(secret: &Token) -> Self {
        let key = DecodingKey::from_secret(secret.expose().as_bytes());
        Self::new(Algorithm::HS256, key)
    }

    /// The key in a PEM text: RS256, ES256 or EdDSA, by its kind.
    ///
    /// # Errors
    /// Why it cannot be used, and the mend.
    pub(super) fn of_pem(pem: &str) -> Result<Self, String> {
        if pem.contains("PRIVATE KEY-----") {
            return Err(
                "holds a private key, which only the issuer of tokens should have; give \
                 the public one: openssl pkey -in FILE -pubout"
                    .to_owned(),
            );
        }
        if pem.contains("BEGIN CERTIFICATE") {
            return Err(
                "holds a certificate; give its public key: openssl x509 -in FILE -pubkey -noout"
                    .to_owned(),
            );
        }
        if pem.matches("-----BEGIN ").count() > 1 {
            return Err("holds several keys; give one, or use jwks-url".to_owned());
        }
        let bytes = pem.as_bytes();
        if let Ok(key) = DecodingKey::from_ed_pem(bytes) {
            return Ok(Self::new(Algorithm::EdDSA, key));
        }
        if let Ok(key) = DecodingKey::from_ec_pem(bytes) {
            return if der(pem).windows(P256.len()).any(|part| part == P256) {
                Ok(Self::new(Algorithm::ES256, key))
            } else {
                Err("holds a key on a curve other than P-256; ES256 needs P-256".to_owned())
            };
        }
        match DecodingKey::from_rsa_pem(bytes) {
            Ok(key) => match key.kind() {
                DecodingKeyKind::SecretOrDer(der) if modulus_bytes(der) >= MIN_RSA_BYTES => {
                    Ok(Self::new(Algorithm::RS256, key))
                }
                _ => Err("holds an RSA key below 2048 bits; make a longer one".to_owned()),
            },
            Err(_) => Err(
                "is not a PEM public key of a kind this gateway knows (RSA, P-256, Ed25519); it \
                 begins with -----BEGIN PUBLIC KEY-----"
                    .to_owned(),
            ),
        }
    }

    /// The claims of a token that was signed with this key.
    ///
    /// # Errors
    /// [`ErrorCode::AuthFailed`] with the reason.
    pub(super) fn verify(&self, token: &str) -> Result<Claims, Refusal> {
        let mut signature_only = Validation::new(self.algorithm);
        // The claims are checked by `Rules`, with the time as a parameter.
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        jsonwebtoken::decode(token, &self.key, &signature_only)
            .map(|token| token.claims)
            .map_err(|error| {
                let text = match error.kind() {
                    ErrorKind::InvalidAlgorithm => {
                        "the token's alg is not that of this gateway's key"
                    }
                    ErrorKind::Json(_) => "the token's claims are malformed",
                    ErrorKind::InvalidSignature => "the token's signature is wrong",
                    _ => "the token is not a signed JWT that this gateway can verify",
                };
                Refusal::new(ErrorCode::AuthFailed, text)
            })
    }
}

/// The unverified header of a token.
///
/// # Errors
/// [`ErrorCode::AuthFailed`]: not a JWT, `alg` none or unknown, or critical extensions.
pub(super) fn header(token: &str) -> Result<Header, Refusal> {
    let text = "the token is not a signed JWT; auth is jwt";
    let header = jsonwebtoken::decode_header(token)
        .map_err(|_| Refusal::new(ErrorCode::AuthFailed, text))?;
    if header.crit.is_some() {
        let text = "the token has critical extensions (crit) that this gateway does not know";
        return Err(Refusal::new(ErrorCode::AuthFailed, text));
    }
    Ok(header)
}

/// Checks an HS256 secret.
///
/// # Errors
/// Why it cannot be used, and the mend. The secret is not in the text.
pub(super) fn check_secret(secret: &str) -> Result<(), String> {
    if secret.contains("-----BEGIN") {
        return Err(
            "is a PEM key, and anybody who has a public key could sign with it as a \
             secret; use jwt-public-key for a public key"
                .to_owned(),
        );
    }
    if secret.len() < MIN_SECRET_BYTES {
        return Err(format!(
            "has {} bytes and can be guessed; HS256 needs at least {MIN_SECRET_BYTES}: openssl rand -base64 48",
            secret.len()
        ));
    }
    Ok(())
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .flat_map(|line| line.chars().filter(|c| !c.is_whitespace()))
        .collect();
    BASE64_STANDARD.decode(body).unwrap_or_default()
}

/// The bytes of the modulus of an RSA public key in DER (RFC 8017 appendix A.1.1); 0 when it is none.
fn modulus_bytes(der: &[u8]) -> usize {
    let inside = |der: &[u8], tag: u8| -> Option<(usize, usize)> {
        let length = *der.get(1)?;
        let (at, length) = match length {
            0..=0x7f => (2, usize::from(length)),
            0x81 => (3, usize::from(*der.get(2)?)),
            0x82 => (
                4,
                usize::from(*der.get(2)?) << 8 | usize::from(*der.get(3)?),
            ),
            _ => return None,
        };
        (der[0] == tag).then_some((at, length))
    };
    let modulus = || {
        let (at, _) = inside(der, 0x30)?;
        let integer = der.get(at..)?;
        let (at, length) = inside(integer, 0x02)?;
        let leading_zero = usize::from(*integer.get(at)? == 0);
        Some(length - leading_zero)
    };
    modulus().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!("../tests/fixtures/", $name))
        };
    }

    #[test]
    fn the_kind_of_key_fixes_the_algorithm() {
        for (pem, algorithm) in [
            (fixture!("rs256.pub.pem"), Algorithm::RS256),
            (fixture!("rs256-pkcs1.pub.pem"), Algorithm::RS256),
            (fixture!("es256.pub.pem"), Algorithm::ES256),
            (fixture!("eddsa.pub.pem"), Algorithm::EdDSA),
        ] {
            assert_eq!(Key::of_pem(pem).unwrap().algorithm, algorithm);
        }
    }

    #[test]
    fn mistaken_keys_are_refused_with_the_mend() {
        for (pem, reason) in [
            (fixture!("rs256.key.pem"), "private key"),
            (fixture!("es256.key.pem"), "private key"),
            (fixture!("eddsa.key.pem"), "private key"),
            (fixture!("rs256.cert.pem"), "certificate"),
            (fixture!("weak-rsa.pub.pem"), "2048"),
            (fixture!("p384.pub.pem"), "P-256"),
            (fixture!("k256.pub.pem"), "P-256"),
            ("", "not a PEM"),
            (
                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                "not a PEM",
            ),
            ("ssh-ed25519 AAAA", "not a PEM"),
        ] {
            let problem = Key::of_pem(pem).unwrap_err();
            assert!(problem.contains(reason), "{reason}: {problem}");
        }
        let two = [fixture!("es256.pub.pem"), fixture!("eddsa.pub.pem")].concat();
        assert!(Key::of_pem(&two).unwrap_err().contains("several"));
    }

    #[test]
    fn weak_secrets_are_refused_and_not_repeated() {
        assert!(check_secret(&"x".repeat(32)).is_ok());
        let problem = check_secret("hunter2").unwrap_err();
        assert!(problem.contains("7 bytes") && !problem.contains("hunter2"));
        assert!(check_secret("").is_err());
        assert!(
            check_secret(fixture!("rs256.pub.pem"))
                .unwrap_err()
                .contains("PEM")
        );
    }
}

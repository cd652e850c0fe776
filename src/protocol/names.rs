//! Validated names. A value of one of these types has been checked once, at the border; inside the
//! gateway an illegal one does not exist.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The place of a message in its topic: 1 for the first, strictly rising, below 2^53 so that every
/// JSON reader keeps it exact. 0 is the position before the first message.
pub type SeqNo = u64;

/// Why a name was refused. The text is the one that clients read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name has no characters.
    #[error("{what} must not be empty")]
    Empty {
        /// What kind of name.
        what: &'static str,
    },
    /// The name has more bytes than allowed.
    #[error("{what} must be at most {limit} bytes of UTF-8, this one has {len}")]
    TooLong {
        /// What kind of name.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
        /// The refused length in bytes.
        len: usize,
    },
    /// The name holds a control character (U+0000 to U+001F, U+007F to U+009F).
    #[error("{what} must not contain control characters")]
    Control {
        /// What kind of name.
        what: &'static str,
    },
}

fn check(what: &'static str, name: &str, limit: usize) -> Result<(), NameError> {
    if name.is_empty() {
        Err(NameError::Empty { what })
    } else if name.len() > limit {
        let len = name.len();
        Err(NameError::TooLong { what, limit, len })
    } else if name.chars().any(char::is_control) {
        Err(NameError::Control { what })
    } else {
        Ok(())
    }
}

/// The name of a topic: 1 to 255 bytes of UTF-8 without control characters. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Topic(Arc<str>);

impl Topic {
    /// The longest topic, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Checks a name and takes it.
    ///
    /// # Errors
    /// [`NameError`] when it is empty, too long or holds a control character.
    pub fn new(name: &str) -> Result<Self, NameError> {
        Self::check(name)?;
        Ok(Self(name.into()))
    }

    /// Checks a name without taking it.
    ///
    /// # Errors
    /// As [`Topic::new`].
    pub fn check(name: &str) -> Result<(), NameError> {
        check("topic", name, Self::MAX_BYTES)
    }

    /// Takes a name that [`Topic::check`] has passed already.
    #[must_use]
    pub fn trusted(name: &str) -> Self {
        debug_assert!(Self::check(name).is_ok());
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A publisher's name for one message, the key of deduplication: 1 to 128 bytes of UTF-8 without
/// control characters, unique per user within the dedup window.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct MessageId(Arc<str>);

impl MessageId {
    /// The longest message id, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Checks an id and takes it.
    ///
    /// # Errors
    /// [`NameError`] when it is empty, too long or holds a control character.
    pub fn new(id: &str) -> Result<Self, NameError> {
        Self::check(id)?;
        Ok(Self(id.into()))
    }

    /// Checks an id without taking it.
    ///
    /// # Errors
    /// As [`MessageId::new`].
    pub fn check(id: &str) -> Result<(), NameError> {
        check("messageId", id, Self::MAX_BYTES)
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one unbroken numbering of a topic. It changes exactly when continuity is lost, so that a
/// position of an older numbering is never mistaken for one of this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(Arc<str>);

impl Epoch {
    /// Takes an epoch's text as it came; an unknown epoch simply equals no other.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The epoch's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a reader stands in a topic: it has everything up to and including `seq_no`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The numbering that `seq_no` belongs to. `None` from a client that does not send epochs.
    pub epoch: Option<Epoch>,
    /// The last message the reader has; 0 for none.
    pub seq_no: SeqNo,
}

/// A secret. It can be read with [`Token::expose`] and nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself; never put it into a log or an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_checked_at_the_border() {
        for good in ["prices", "a/b.c:*", "übung 🚀", "..", &"x".repeat(255)] {
            assert_eq!(Topic::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "a\nb",
            "\u{0}",
            "c1 \u{85}",
            &"x".repeat(256),
            &"ü".repeat(128),
        ] {
            assert!(Topic::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_token_never_prints_itself() {
        assert_eq!(format!("{:?}", Token::new("s3cret")), "Token(redacted)");
    }
}

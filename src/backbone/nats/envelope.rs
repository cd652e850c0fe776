//! What travels beside a payload. The payload itself is the body, byte for byte (promise I7), so that
//! other programs can read the stream.
//!
//! One header line of ours: `Micro-Socket: 1 <ts> <node> <mono> <messageId> <user> [<sig>]`. Words are
//! percent-encoded where they could end the word or the line.
//!
//! Invariant: pure.

use std::borrow::Cow;

use async_nats::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::backbone::{Now, Publication, Record};
use crate::protocol::SeqNo;

/// The header of ours.
pub(super) const HEADER: &str = "Micro-Socket";
/// The version that stands first in it.
const VERSION: &str = "1";
/// What would end a word or a line; all but ASCII is written otherwise anyway.
const RESERVED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The key of a user's message id: what the server remembers, so it is short; what clients choose
/// goes into it, so nobody can make two of them equal.
#[must_use]
pub(super) fn dedup_key(user: &str, message_id: &str) -> String {
    let mut hash = Sha256::new();
    hash.update((user.len() as u64).to_le_bytes());
    hash.update(user.as_bytes());
    hash.update(message_id.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..16])
}

/// The header line of a publication.
#[must_use]
pub(super) fn encode(publication: &Publication<'_>, now: Now, node: &str) -> String {
    let word = |text| utf8_percent_encode(text, RESERVED);
    let (id, user) = (word(publication.message_id), word(publication.user));
    let (ts, mono) = (now.unix_ms, now.mono_ns);
    let mut line = format!("{VERSION} {ts} {node} {mono} {id} {user}");
    if let Some(sig) = publication.sig {
        line.push(' ');
        line.extend(word(sig));
    }
    line
}

/// What the header line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    /// When the message was accepted, in milliseconds since the Unix epoch.
    pub(super) ts: u64,
    /// Which node accepted it.
    pub(super) node: &'a str,
    /// When, on that node's own clock; see [`Now::mono_ns`].
    pub(super) mono_ns: u64,
    /// The publisher's name for it.
    pub(super) message_id: Cow<'a, str>,
    /// Its signature.
    pub(super) sig: Option<Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    /// `None` when somebody else wrote the line.
    #[must_use]
    pub(super) fn decode(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ');
        if words.next()? != VERSION {
            return None;
        }
        let word = |text| percent_decode_str(text).decode_utf8().ok();
        let (ts, node) = (words.next()?.parse().ok()?, words.next()?);
        let mono_ns = words.next()?.parse().ok()?;
        let message_id = word(words.next()?)?;
        let _user = words.next()?;
        let sig = match words.next() {
            Some(sig) => Some(word(sig)?),
            None => None,
        };
        Some(Self {
            ts,
            node,
            mono_ns,
            message_id,
            sig,
        })
    }

    /// The record that subscribers get; `None` when the payload is no text.
    #[must_use]
    pub(super) fn record(
        &self,
        topic: &str,
        payload: &[u8],
        seq_no: SeqNo,
        previous: SeqNo,
    ) -> Option<Record> {
        let publication = Publication {
            user: "",
            topic,
            message_id: &self.message_id,
            payload: simdutf8::basic::from_utf8(payload).ok()?,
            sig: self.sig.as_deref(),
        };
        Some(Record::new(&publication, seq_no, previous, self.ts))
    }
}

/// A header's value as a number.
#[must_use]
pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.as_str().parse().ok()
}

/// Our header line in a block of headers as the server stores it.
#[must_use]
pub(super) fn line_in(block: &str) -> Option<&str> {
    block.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(HEADER).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Now = Now {
        mono_ns: 77,
        unix_ms: 1_700_000_000_000,
    };

    #[test]
    fn keys_are_short_and_of_one_user_only() {
        let key = dedup_key("ann", "m");
        assert_eq!(key.len(), 22);
        assert_eq!(key, dedup_key("ann", "m"));
        let others = [("an", "nm"), ("annm", ""), ("bob", "m"), ("ann", "m2")];
        for (user, id) in others {
            assert_ne!(key, dedup_key(user, id));
        }
    }

    #[test]
    fn lines_of_others_are_none() {
        for line in [
            "",
            "1",
            "2 1 n 1 m u",
            "1 x n 1 m u",
            "1 1 n 1 %FF u",
            "1 1 n 1 m",
            "1 1 n 1 m u %FF",
        ] {
            assert!(Envelope::decode(line).is_none(), "{line}");
        }
    }

    #[test]
    fn the_line_is_found_in_a_stored_block() {
        let block = "NATS/1.0\r\nNats-Msg-Id: x\r\nmicro-socket: 1 2\r\n\r\n";
        assert_eq!(line_in(block), Some("1 2"));
        assert_eq!(line_in("NATS/1.0\r\n\r\n"), None);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(user in "\\PC{0,40}", message_id in "\\PC{1,40}", sig in prop::option::of("\\PC{1,40}")) {
            let publication = Publication { user: &user, topic: "t", message_id: &message_id, payload: "1", sig: sig.as_deref() };
            let line = encode(&publication, NOW, "n1");
            prop_assert!(line.bytes().all(|b| b.is_ascii_graphic() || b == b' '));
            let envelope = Envelope::decode(&line).unwrap();
            prop_assert_eq!((envelope.ts, envelope.node, envelope.mono_ns), (NOW.unix_ms, "n1", 77));
            prop_assert_eq!(&*envelope.message_id, message_id.as_str());
            prop_assert_eq!(envelope.sig.as_deref(), sig.as_deref());
        }

        #[test]
        fn any_line_is_read_without_a_panic(line in "\\PC{0,80}") {
            let _ = Envelope::decode(&line);
            let _ = line_in(&line);
        }
    }
}

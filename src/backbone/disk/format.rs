//! How a message lies on disk. Pure.
//!
//! ```text
//! record   length u32 | check of the length u32 | check of the body u32 | body
//! body     seqNo u64 | ts u64 | lengths u32 of user, topic, messageId, sig | these four | payload
//! ```
//!
//! Numbers are little-endian; a check is a CRC-32; the length is the body's. The length has a check
//! of its own so that a record that was cut off (what a crash leaves) can be told from one that was
//! changed (what a crash never leaves of a message that was acknowledged).

use crate::backbone::Publication;
use crate::protocol::SeqNo;

/// What stands before the body.
pub(super) const PREFIX: usize = 12;
/// What stands before the texts.
const FIXED: usize = 32;
/// The length of a `sig` that is not there.
const NO_SIG: u32 = u32::MAX;

/// A message as it was read back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored<'a> {
    /// Its place in the topic.
    pub(super) seq_no: SeqNo,
    /// When it was accepted, in milliseconds since the Unix epoch.
    pub(super) ts: u64,
    /// What was published.
    pub(super) publication: Publication<'a>,
}

/// The moment of a record that says only that this number of its topic and all before it are gone.
const GONE: u64 = u64::MAX;

impl Stored<'_> {
    /// Whether it is a record of [`gone`].
    pub(super) const fn is_gone(&self) -> bool {
        self.ts == GONE
    }
}

/// A record that says that nothing of a topic up to this number is kept.
#[must_use]
pub(super) fn gone(topic: &str, seq_no: SeqNo) -> Vec<u8> {
    let publication = Publication {
        user: "",
        topic,
        message_id: "",
        payload: "",
        sig: None,
    };
    let mut record = encode(&publication, GONE);
    number(&mut record, seq_no);
    record
}

/// What the next bytes of a log are.
#[derive(Debug)]
pub(super) enum Next<'a> {
    /// A whole record of this many bytes.
    Record(Stored<'a>, usize),
    /// The end.
    End,
    /// A record whose end is missing, or room that was never written.
    Torn,
    /// Something that was never written like this.
    Damaged,
}

/// Writes a record that has no number yet; [`number`] makes it whole.
#[must_use]
pub(super) fn encode(publication: &Publication<'_>, ts: u64) -> Vec<u8> {
    let sig = publication.sig;
    let texts = [
        publication.user,
        publication.topic,
        publication.message_id,
        sig.unwrap_or_default(),
    ];
    let length = FIXED + texts.iter().map(|text| text.len()).sum::<usize>();
    let length = length + publication.payload.len();
    let mut out = Vec::with_capacity(PREFIX + length);
    let length = (length as u32).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&crc32fast::hash(&length).to_le_bytes());
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&ts.to_le_bytes());
    for text in &texts[..3] {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    }
    let sig = sig.map_or(NO_SIG, |sig| sig.len() as u32);
    out.extend_from_slice(&sig.to_le_bytes());
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(publication.payload.as_bytes());
    out
}

/// Gives a record of [`encode`] its number and its check.
pub(super) fn number(record: &mut [u8], seq_no: SeqNo) {
    record[PREFIX..PREFIX + 8].copy_from_slice(&seq_no.to_le_bytes());
    let check = crc32fast::hash(&record[PREFIX..]);
    record[8..PREFIX].copy_from_slice(&check.to_le_bytes());
}

/// The number, moment and texts of a record of [`encode`] that may have no number yet.
#[must_use]
pub(super) fn view(record: &[u8]) -> Option<Stored<'_>> {
    decode(record.get(PREFIX..)?)
}

/// Reads the first record of these bytes.
#[must_use]
pub(super) fn next(bytes: &[u8]) -> Next<'_> {
    match unframe(bytes) {
        Frame::Whole(body) => match decode(body) {
            Some(stored) => Next::Record(stored, PREFIX + body.len()),
            None => Next::Damaged,
        },
        Frame::End => Next::End,
        Frame::Torn => Next::Torn,
        Frame::Damaged => Next::Damaged,
    }
}

/// What the next bytes of a file are; see [`Next`].
#[derive(Debug)]
pub(super) enum Frame<'a> {
    Whole(&'a [u8]),
    End,
    Torn,
    Damaged,
}

/// Appends a body with what stands before it.
pub(super) fn frame(out: &mut Vec<u8>, body: &[u8]) {
    let length = (body.len() as u32).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&crc32fast::hash(&length).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    out.extend_from_slice(body);
}

/// Reads the first body of these bytes.
pub(super) fn unframe(bytes: &[u8]) -> Frame<'_> {
    if bytes.is_empty() {
        return Frame::End;
    }
    let Some((prefix, rest)) = bytes.split_at_checked(PREFIX) else {
        return Frame::Torn;
    };
    let (length, check) = (u32_at(prefix, 0), u32_at(prefix, 4));
    if crc32fast::hash(&length.to_le_bytes()) != check {
        // Some file systems grow a file before they write into it.
        let unwritten = bytes.iter().all(|byte| *byte == 0);
        return if unwritten {
            Frame::Torn
        } else {
            Frame::Damaged
        };
    }
    match rest.get(..length as usize) {
        None => Frame::Torn,
        Some(body) if crc32fast::hash(body) != u32_at(prefix, 8) => Frame::Damaged,
        Some(body) => Frame::Whole(body),
    }
}

fn decode(body: &[u8]) -> Option<Stored<'_>> {
    let (fixed, mut texts) = body.split_at_checked(FIXED)?;
    let mut text = |length: u32| {
        let (text, rest) = texts.split_at_checked(length as usize)?;
        texts = rest;
        simdutf8::basic::from_utf8(text).ok()
    };
    let user = text(u32_at(fixed, 16))?;
    let topic = text(u32_at(fixed, 20))?;
    let message_id = text(u32_at(fixed, 24))?;
    let sig = match u32_at(fixed, 28) {
        NO_SIG => None,
        length => Some(text(length)?),
    };
    Some(Stored {
        seq_no: u64_at(fixed, 0),
        ts: u64_at(fixed, 8),
        publication: Publication {
            user,
            topic,
            message_id,
            payload: simdutf8::basic::from_utf8(texts).ok()?,
            sig,
        },
    })
}

/// Reads a number that is known to be there.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// Reads a number that is known to be there.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Vec<u8> {
        let publication = Publication {
            user: "ann",
            topic: "ü",
            message_id: "m1",
            payload: r#"{ "x" : 1.0e400 }"#,
            sig: Some(""),
        };
        let mut record = encode(&publication, 77);
        number(&mut record, 5);
        record
    }

    #[test]
    fn a_record_reads_back_as_it_was() {
        let record = record();
        let Next::Record(stored, length) = next(&record) else {
            panic!()
        };
        assert_eq!((stored.seq_no, stored.ts, length), (5, 77, record.len()));
        let publication = stored.publication;
        assert_eq!(
            (
                publication.user,
                publication.topic,
                publication.message_id,
                publication.sig
            ),
            ("ann", "ü", "m1", Some(""))
        );
        assert_eq!(publication.payload, r#"{ "x" : 1.0e400 }"#);
    }

    #[test]
    fn a_cut_is_torn_and_a_change_is_damage() {
        let whole = record();
        assert!(matches!(next(&[]), Next::End));
        for end in 1..whole.len() {
            assert!(matches!(next(&whole[..end]), Next::Torn), "{end}");
        }
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(next(&changed), Next::Damaged), "{bit}");
        }
        assert!(matches!(next(&[0; 100]), Next::Torn));
    }
}

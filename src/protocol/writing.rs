//! JSON written by hand, for the frames that come by the million; serde writes all others.

use super::message::PublishAck;

/// Appends a whole number.
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a string.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    // Most names need no escape; serde_json writes those that do. Writing to memory cannot fail.
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        let _ = serde_json::to_writer(out, text);
    }
}

/// Appends an `ack`, byte for byte as serde writes it.
pub(super) fn push_ack(out: &mut Vec<u8>, ack: &PublishAck<'_>) {
    out.extend_from_slice(b"{\"type\":\"ack\",\"messageId\":");
    push_string(out, &ack.message_id);
    out.extend_from_slice(b",\"status\":");
    push_string(out, ack.status.as_str());
    out.extend_from_slice(b",\"topic\":");
    push_string(out, &ack.topic);
    out.extend_from_slice(b",\"seqNo\":");
    push_number(out, ack.seq_no);
    out.extend_from_slice(b",\"epoch\":");
    push_string(out, ack.epoch.as_str());
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::{AckStatus, Epoch, ServerMessage, encode_server};

    proptest! {
        #[test]
        fn an_ack_is_written_as_serde_writes_it(id in ".*", topic in ".*", epoch in "[a-z0-9]*", seq_no: u64, ok: bool) {
            let ack = PublishAck {
                message_id: id.into(),
                status: if ok { AckStatus::Ok } else { AckStatus::Duplicate },
                topic: topic.into(),
                seq_no,
                epoch: Epoch::new(&epoch),
            };
            let mut out = Vec::new();
            push_ack(&mut out, &ack);
            let text = encode_server(&ServerMessage::Ack(ack));
            prop_assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}

//! One message in its final form: encoded once, shared by everyone who gets it.

use bytes::Bytes;

use crate::protocol::SeqNo;
use crate::protocol::writing::{push_number, push_string};
use crate::websocket::text_frame;

use super::Publication;

/// A numbered message, already written as the WebSocket frame that subscribers get.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its place in the topic.
    pub seq_no: SeqNo,
    /// The whole text frame: header, then JSON.
    pub frame: Bytes,
    /// Where in `frame` the JSON begins.
    json_at: u8,
}

impl Record {
    /// Writes the `message` frame. `previous` is the number before this one in the topic; it
    /// stands in the frame only where it is not `seq_no` - 1. The payload is copied as it is (I7).
    #[must_use]
    pub fn new(publication: &Publication<'_>, seq_no: SeqNo, previous: SeqNo, ts: u64) -> Self {
        let room = publication.topic.len()
            + publication.message_id.len()
            + publication.payload.len()
            + publication.sig.map_or(0, str::len)
            + 160;
        let (frame, json_at) = text_frame(room, |out| {
            out.extend_from_slice(b"{\"type\":\"message\",\"topic\":");
            push_string(out, publication.topic);
            out.extend_from_slice(b",\"seqNo\":");
            push_number(out, seq_no);
            if previous + 1 != seq_no {
                out.extend_from_slice(b",\"prevSeq\":");
                push_number(out, previous);
            }
            out.extend_from_slice(b",\"messageId\":");
            push_string(out, publication.message_id);
            out.extend_from_slice(b",\"ts\":");
            push_number(out, ts);
            if let Some(sig) = publication.sig {
                out.extend_from_slice(b",\"sig\":");
                push_string(out, sig);
            }
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(publication.payload.as_bytes());
            out.push(b'}');
        });
        Self {
            seq_no,
            frame: frame.into(),
            json_at: json_at as u8,
        }
    }

    /// The `message` frame's JSON.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.frame[usize::from(self.json_at)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ServerMessage, decode_server};

    #[test]
    fn a_record_reads_back_as_the_message_it_was_made_from() {
        let publication = Publication {
            user: "u",
            topic: "a\"b\\c ü",
            message_id: "id \"1\"",
            payload: r#"{ "x":1.0e400 }"#,
            sig: Some("s"),
        };
        for (seq, previous, prev_seq) in [(8, 7, None), (8, 3, Some(3)), (1, 0, None)] {
            let record = Record::new(&publication, seq, previous, 5);
            let json = std::str::from_utf8(record.json()).unwrap();
            let ServerMessage::Message(message) = decode_server(json).unwrap() else {
                panic!("{json}")
            };
            assert_eq!(message.topic, publication.topic);
            assert_eq!(message.message_id, publication.message_id);
            assert_eq!(message.data.get(), publication.payload);
            assert_eq!((message.seq_no, message.prev_seq), (seq, prev_seq));
            assert_eq!((message.ts, message.sig.as_deref()), (Some(5), Some("s")));
        }
    }
}

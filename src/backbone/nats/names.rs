//! Topics as subjects: any topic has one subject, and the subject gives the topic back.
//!
//! A topic becomes one token of a subject. What means something in a subject, or could, is written
//! as `=` and two hexadecimal digits for each byte; so a topic can neither reach into another one's
//! subjects nor stand for many of them.
//!
//! Invariant: pure.

use crate::protocol::Topic;

/// What every subject of ours begins with.
const ROOT: &str = "micro-socket";

/// The partition of a topic: the same on every node, for ever.
#[must_use]
pub(super) fn partition(topic: &str, partitions: u16) -> u16 {
    (crc32fast::hash(topic.as_bytes()) % u32::from(partitions.max(1))) as u16
}

/// Where a topic's messages are published to.
#[must_use]
pub(super) fn inward(partition: u16, topic: &str) -> String {
    format!("{ROOT}.in.{partition}.{}", token(topic))
}

/// Where the stream repeats a topic's messages once they are stored.
#[must_use]
pub(super) fn live(partition: u16, topic: &str) -> String {
    format!("{ROOT}.live.{partition}.{}", token(topic))
}

/// All subjects of a partition that are published to.
#[must_use]
pub(super) fn inward_all(partition: u16) -> String {
    format!("{ROOT}.in.{partition}.>")
}

/// All subjects of a partition that are repeated to.
#[must_use]
pub(super) fn live_all(partition: u16) -> String {
    format!("{ROOT}.live.{partition}.>")
}

/// The stream of a partition.
#[must_use]
pub(super) fn stream(partition: u16) -> String {
    format!("MICRO_SOCKET_{partition}")
}

/// The stream of the reserved message ids of a partition; see [`super::ids`].
#[must_use]
pub(super) fn ids_stream(partition: u16) -> String {
    format!("MICRO_SOCKET_IDS_{partition}")
}

/// Where a message id is reserved.
#[must_use]
pub(super) fn id(partition: u16, id: &str) -> String {
    format!("{ROOT}.id.{partition}.{id}")
}

/// All reservations of a partition.
#[must_use]
pub(super) fn ids_all(partition: u16) -> String {
    format!("{ROOT}.id.{partition}.*")
}

/// The bucket of sessions, and the stream behind it.
pub(super) const SESSIONS_STREAM: &str = "KV_micro-socket-sessions";

/// All keys of the bucket of sessions.
pub(super) const SESSIONS_ALL: &str = "$KV.micro-socket-sessions.>";

/// The key of a session, as a subject.
#[must_use]
pub(super) fn session(id: u128) -> String {
    format!("$KV.micro-socket-sessions.{id:032x}")
}

/// The bucket of revocations, and the stream behind it.
pub(super) const REVOKED_STREAM: &str = "KV_micro-socket-revoked";

/// All keys of the bucket of revocations.
pub(super) const REVOKED_ALL: &str = "$KV.micro-socket-revoked.>";

/// The key of a revoked user (kind `user`) or token (kind `jti`), as a subject.
#[must_use]
pub(super) fn revoked(kind: &str, name: &str) -> String {
    format!("$KV.micro-socket-revoked.{kind}.{}", token(name))
}

/// The bucket of the gateways that are there, and the stream behind it.
pub(super) const NODES_STREAM: &str = "KV_micro-socket-nodes";

const NODES: &str = "$KV.micro-socket-nodes.";

/// All keys of that bucket.
pub(super) const NODES_ALL: &str = "$KV.micro-socket-nodes.>";

/// The key of a gateway, as a subject.
#[must_use]
pub(super) fn present(node: &str) -> String {
    format!("{NODES}{}", token(node))
}

/// The gateway of a subject that [`present`] made.
#[must_use]
pub(super) fn who(subject: &str) -> Option<String> {
    untoken(subject.strip_prefix(NODES)?)
}

/// Where one node is asked, or all of them.
#[must_use]
pub(super) fn node(node: Option<&str>, kind: &str) -> String {
    match node {
        Some(node) => format!("{ROOT}.node.{node}.{kind}"),
        None => format!("{ROOT}.nodes.{kind}"),
    }
}

/// The topic of a subject that [`inward`] or [`live`] made.
#[must_use]
pub(super) fn topic(subject: &str) -> Option<Topic> {
    let rest = subject.strip_prefix(ROOT)?.strip_prefix('.')?;
    let mut parts = rest.splitn(3, '.');
    let (kind, partition, token) = (parts.next()?, parts.next()?, parts.next()?);
    if !matches!(kind, "in" | "live") || partition.parse::<u16>().is_err() {
        return None;
    }
    Topic::new(&untoken(token)?).ok()
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'/' | b'@' | b'+' | b',')
}

fn token(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('=');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    out
}

/// `None` for anything that [`token`] would not have written.
fn untoken(token: &str) -> Option<String> {
    let mut out = Vec::with_capacity(token.len());
    let mut bytes = token.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'=' {
            let high = digit(bytes.next()?)?;
            let low = digit(bytes.next()?)?;
            let byte = high << 4 | low;
            if is_plain(byte) {
                return None;
            }
            out.push(byte);
        } else if is_plain(byte) {
            out.push(byte);
        } else {
            return None;
        }
    }
    String::from_utf8(out).ok()
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_means_something_in_a_subject_is_written_otherwise() {
        assert_eq!(token("prices"), "prices");
        assert_eq!(token("a.b *>=\t%ü"), "a=2Eb=20=2A=3E=3D=09=25=C3=BC");
        assert_eq!(inward(3, "a.b"), "micro-socket.in.3.a=2Eb");
        assert_eq!(topic("micro-socket.live.3.a=2Eb").unwrap().as_str(), "a.b");
    }

    #[test]
    fn other_subjects_are_no_topics() {
        for subject in [
            "micro-socket.live.3.a.b",
            "micro-socket.live.3.",
            "micro-socket.live.3.=2",
            "micro-socket.live.3.=2e",
            "micro-socket.live.3.=61",
            "micro-socket.live.3.=FF",
            "micro-socket.live.x.a",
            "micro-socket.id.0.a",
            "micro-socket.live",
            "other.live.3.a",
            "",
        ] {
            assert!(topic(subject).is_none(), "{subject}");
        }
    }

    #[test]
    fn a_key_of_a_gateway_gives_its_name_back() {
        assert_eq!(present("web.1"), "$KV.micro-socket-nodes.web=2E1");
        assert_eq!(who(&present("web.1")).as_deref(), Some("web.1"));
        assert_eq!(who("$KV.micro-socket-nodes.web.1"), None);
        assert_eq!(who("$KV.other.web"), None);
        assert_eq!(
            revoked("user", "a.b *"),
            "$KV.micro-socket-revoked.user.a=2Eb=20=2A"
        );
    }

    #[test]
    fn a_partition_never_changes() {
        assert_eq!(
            ["prices", "alerts", "ü", "a.b"].map(|topic| partition(topic, 8)),
            [1, 3, 5, 5]
        );
        assert_eq!(partition("prices", 1), 0);
        assert_eq!(partition("prices", 0), 0);
    }

    proptest! {
        #[test]
        fn every_topic_has_a_subject_that_gives_it_back(name in "\\PC{1,255}", partitions in 1_u16..64) {
            prop_assume!(Topic::check(&name).is_ok());
            let part = partition(&name, partitions);
            prop_assert!(part < partitions);
            for subject in [inward(part, &name), live(part, &name)] {
                prop_assert_eq!(subject.split('.').count(), 4);
                prop_assert!(subject.bytes().all(|b| b.is_ascii_graphic() && !b"*>".contains(&b)));
                prop_assert!(subject.len() < 800);
                let back = topic(&subject).unwrap();
                prop_assert_eq!(back.as_str(), name.as_str());
            }
        }

        #[test]
        fn any_token_reads_as_a_topic_that_is_written_so_or_not_at_all(text in "[a-z=0-9A-F.*> ]{0,20}") {
            if let Some(topic) = untoken(&text) {
                prop_assert_eq!(token(&topic), text);
            }
        }
    }
}

//! Judges what was seen. Pure. An error says what is wrong.

use std::time::Duration;

use crate::client::Message;
use crate::protocol::{AckStatus, PublishAck};

/// Numbers rise strictly, and no message names one before it that did not come.
pub(super) fn rising(messages: &[Message]) -> Result<(), String> {
    for pair in messages.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        if after.seq_no <= before.seq_no {
            return Err(format!("#{} came after #{}", after.seq_no, before.seq_no));
        }
        if after.previous() > before.seq_no {
            let (from, to) = (before.seq_no, after.seq_no);
            return Err(format!("#{to} followed #{from}: a hole that nobody told"));
        }
    }
    Ok(())
}

/// The messages have these ids, in this order.
pub(super) fn exactly(messages: &[Message], ids: &[String]) -> Result<(), String> {
    let seen: Vec<&str> = messages.iter().map(|m| m.message_id.as_str()).collect();
    if seen == ids {
        return Ok(());
    }
    let at = seen
        .iter()
        .zip(ids)
        .position(|(seen, id)| seen != id)
        .unwrap_or_else(|| seen.len().min(ids.len()));
    let shown = |id: Option<&str>| id.map_or_else(|| "nothing".to_owned(), |id| format!("{id:?}"));
    let (got, expected) = (seen.get(at).copied(), ids.get(at).map(String::as_str));
    Err(format!(
        "{} messages came instead of {}; first difference: {} instead of {}",
        seen.len(),
        ids.len(),
        shown(got),
        shown(expected)
    ))
}

/// Everyone saw the same messages with the same numbers in the same order.
pub(super) fn same(subscribers: &[Vec<Message>]) -> Result<(), String> {
    let sequence = |messages: &[Message]| -> Vec<(u64, String)> {
        let pairs = messages.iter().map(|m| (m.seq_no, m.message_id.clone()));
        pairs.collect()
    };
    for pair in subscribers.windows(2) {
        let (one, other) = (sequence(&pair[0]), sequence(&pair[1]));
        if one != other {
            let (a, b) = (one.len(), other.len());
            return Err(format!(
                "two subscribers saw different sequences, of {a} and {b} messages"
            ));
        }
    }
    Ok(())
}

/// Each publisher's messages, whose ids begin with its name, are in the order of their sending.
pub(super) fn each_in_order(
    messages: &[Message],
    publishers: &[Vec<String>],
) -> Result<(), String> {
    for ids in publishers {
        let own: Vec<Message> = messages
            .iter()
            .filter(|m| ids.contains(&m.message_id))
            .cloned()
            .collect();
        exactly(&own, ids)?;
    }
    Ok(())
}

/// Of the acks of one id exactly one is `ok`, and all name its position.
pub(super) fn one_effect(acks: &[PublishAck<'_>]) -> Result<(), String> {
    for ack in acks {
        let same = acks.iter().filter(|a| a.message_id == ack.message_id);
        let ok = same.clone().filter(|a| a.status == AckStatus::Ok).count();
        if ok != 1 {
            return Err(format!("{:?} was accepted {ok} times", ack.message_id));
        }
        if let Some(other) = same.into_iter().find(|a| a.seq_no != ack.seq_no) {
            let (id, here, there) = (&ack.message_id, ack.seq_no, other.seq_no);
            return Err(format!("{id:?} has the positions {here} and {there}"));
        }
    }
    Ok(())
}

/// p50, p95 and p99 in milliseconds.
pub(super) fn percentiles(times: &[Duration]) -> [f64; 3] {
    let mut sorted = Vec::with_capacity(times.len());
    for time in times {
        sorted.insert(sorted.partition_point(|earlier| earlier < time), *time);
    }
    [50, 95, 99].map(|percent| {
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        let time: Duration = sorted.get(rank - 1).copied().unwrap_or_default();
        time.as_secs_f64() * 1000.0
    })
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::protocol::{Epoch, MessageFrame};

    fn messages(pairs: &[(u64, &str)]) -> Vec<Message> {
        let data = RawValue::from_string("0".to_owned()).unwrap();
        let message = |(seq_no, id): &(u64, &str)| MessageFrame {
            topic: "t".into(),
            seq_no: *seq_no,
            prev_seq: None,
            message_id: (*id).to_owned().into(),
            ts: None,
            sig: None,
            data: std::borrow::Cow::Owned(data.clone()),
        };
        pairs.iter().map(|pair| message(pair).into()).collect()
    }

    #[test]
    fn loss_double_and_disorder_are_seen() {
        let ids = ["a", "b", "c"].map(str::to_owned);
        for (seen, right) in [
            (&[(1, "a"), (2, "b"), (3, "c")][..], true),
            (&[(1, "a"), (3, "c")], false),
            (&[(1, "a"), (2, "b"), (2, "b"), (3, "c")], false),
            (&[(1, "a"), (3, "c"), (2, "b")], false),
        ] {
            let seen = messages(seen);
            assert_eq!(rising(&seen).is_ok(), right);
            assert_eq!(exactly(&seen, &ids).is_ok(), right);
            let whole = messages(&[(1, "a"), (2, "b"), (3, "c")]);
            assert_eq!(same(&[whole, seen]).is_ok(), right);
        }
        assert_eq!(
            exactly(&messages(&[(1, "a")]), &ids).unwrap_err(),
            "1 messages came instead of 3; first difference: nothing instead of \"b\""
        );
        let mixed = messages(&[(1, "b"), (2, "x"), (3, "a")]);
        assert!(each_in_order(&mixed, &[vec!["a".to_owned(), "b".to_owned()]]).is_err());
        assert!(each_in_order(&mixed, &[vec!["b".to_owned(), "a".to_owned()]]).is_ok());
    }

    #[test]
    fn one_id_has_one_effect() {
        let ack = |status, seq_no| PublishAck {
            message_id: "a".into(),
            status,
            topic: "t".into(),
            seq_no,
            epoch: Epoch::new("e"),
        };
        let ok = ack(AckStatus::Ok, 3);
        let duplicate = ack(AckStatus::Duplicate, 3);
        assert!(one_effect(&[duplicate.clone(), ok.clone()]).is_ok());
        assert!(one_effect(&[ok.clone(), ok.clone()]).is_err());
        assert!(one_effect(&[duplicate]).is_err());
        assert!(one_effect(&[ok, ack(AckStatus::Duplicate, 4)]).is_err());
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentiles(&times), [50.0, 95.0, 99.0]);
        assert_eq!(percentiles(&[]), [0.0; 3]);
    }
}

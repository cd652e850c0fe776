//! What is told as the end of a topic holds: no later message has a number that is not above it, and
//! whoever listened all along is not told of a gap.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use super::tests::{
    at, crash_image, log_bytes, log_files, numbers, open_at, publication, publish, wait,
};
use super::*;
use crate::backbone::Record;
use crate::backbone::contract::retention;
use crate::protocol::AckStatus;

/// The `prevSeq` of every message, as subscribers get it.
#[derive(Default)]
struct Frames(Mutex<Vec<(String, SeqNo, Option<u64>)>>);

impl Events for Frames {
    fn deliver(&self, topic: &str, record: &Record, _: u64) {
        let frame: serde_json::Value = serde_json::from_slice(record.json()).unwrap();
        let frame = (topic.to_owned(), record.seq_no, frame["prevSeq"].as_u64());
        self.0.lock().push(frame);
    }

    fn lost(&self, topic: &str) {
        panic!("records of {topic} are lost");
    }
}

#[test]
fn the_first_message_of_a_topic_that_was_forgotten_names_none_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let frames = Arc::new(Frames::default());
    let options = Options {
        dir: dir.path().to_owned(),
        fsync_interval: None,
        new_epoch: Epoch::new("e1"),
    };
    let short = Retention {
        history_ttl: Duration::from_secs(10),
        ..retention()
    };
    let disk = Disk::open(at(0), options, &short, frames.clone()).unwrap();
    for i in 0..2 {
        publish(&disk, 0, "t", &format!("t{i}")).unwrap();
    }
    for i in 0..9 {
        publish(&disk, 0, "u", &format!("u{i}")).unwrap();
    }
    disk.tend(at(11_000));
    for i in 2..4 {
        publish(&disk, 11_000, "t", &format!("t{i}")).unwrap();
    }
    let frames = frames.0.lock();
    let of_t = frames.iter().filter(|(topic, ..)| topic == "t");
    let of_t: Vec<_> = of_t.map(|(_, seq_no, prev)| (*seq_no, *prev)).collect();
    assert_eq!(of_t, [(1, None), (2, None), (10, Some(0)), (11, None)]);
}

#[test]
fn what_was_told_as_the_end_of_a_topic_holds_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let keep = |seconds| Retention {
        history_ttl: Duration::from_secs(seconds),
        ..retention()
    };
    let disk = open_at(at(0), dir.path(), "e1", None, &keep(10)).unwrap();
    for (topic, count) in [("t", 5), ("u", 8)] {
        for i in 0..count {
            publish(&disk, 0, topic, &format!("{topic}{i}")).unwrap();
        }
    }
    disk.tend(at(11_000));
    // Whatever is asked after it is answered after it.
    let again = publish(&disk, 11_000, "u", "u7").unwrap();
    assert_eq!((again.status, again.seq_no), (AckStatus::Duplicate, 8));
    let topic = Topic::new("t").unwrap();
    assert!(numbers(&disk, "t").is_empty());
    let told = wait(disk.replay(at(11_000), &topic, None)).unwrap().head;
    // With more time, what went and is still on disk would be kept again.
    let image = crash_image(dir.path());
    let disk = open_at(at(12_000), image.path(), "e2", None, &keep(60)).unwrap();
    let new: Vec<SeqNo> = (0..4)
        .map(|i| {
            publish(&disk, 12_000, "t", &format!("new{i}"))
                .unwrap()
                .seq_no
        })
        .collect();
    let position = Position {
        epoch: Some(told.epoch),
        seq_no: told.seq_no,
    };
    let replay = wait(disk.replay(at(12_000), &topic, Some(&position))).unwrap();
    let replayed = replay.outcome.unwrap();
    let replayed: Vec<SeqNo> = replayed.iter().map(|record| record.seq_no).collect();
    assert_eq!(replayed, new, "told {}", told.seq_no);
}

#[test]
fn what_is_told_while_a_message_is_written_is_not_above_it() {
    let small = Retention {
        history_bytes: 64 << 10,
        history_size: 10_000,
        ..retention()
    };
    let dir = tempfile::tempdir().unwrap();
    let disk = open_at(at(0), dir.path(), "e1", None, &small).unwrap();
    for i in 0..30 {
        publish(&disk, 0, "first", &format!("first{i}")).unwrap();
    }
    for i in 0..5 {
        publish(&disk, 0, "t", &format!("t{i}")).unwrap();
    }
    // Nothing can be swept: room is made by letting go of the oldest segment.
    let file = File::options()
        .write(true)
        .open(&log_files(dir.path())[0])
        .unwrap();
    file.write_all_at(b"!", segment::HEADER as u64 + 20)
        .unwrap();
    let mut id = 0;
    while log_bytes(dir.path()) < 54 << 10 {
        // Of somebody else: what was written before is less than an equal part and stays.
        let text = id.to_string();
        let other = Publication {
            user: "bob",
            ..publication("u", &text, "{}")
        };
        wait(disk.publish(at(0), other)).unwrap();
        id += 1;
    }
    fs::write(dir.path().join("hold-write"), "").unwrap();
    let payload = format!("\"{}\"", "x".repeat(14_000));
    let waiting = disk.publish(at(0), publication("t", "large", &payload));
    let until = Instant::now() + Duration::from_secs(10);
    let last = || fs::metadata(log_files(dir.path()).pop().unwrap()).unwrap();
    while last().len() < 14_000 {
        assert!(Instant::now() < until, "it is not written");
        thread::yield_now();
    }
    let topic = Topic::new("t").unwrap();
    let told = wait(disk.replay(at(0), &topic, None)).unwrap().head;
    fs::remove_file(dir.path().join("hold-write")).unwrap();
    let published = wait(waiting).unwrap();
    assert_eq!(numbers(&disk, "t"), [published.seq_no]);
    assert!(published.seq_no > told.seq_no, "{published:?} {told:?}");
}

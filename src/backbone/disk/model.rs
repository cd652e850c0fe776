//! Random publishes, crashes and restarts against a model that remembers what was acknowledged.

use std::collections::HashMap;
use std::fs;

use proptest::prelude::*;

use super::tests::{at, crash_image, kept, publication, wait};
use super::*;
use crate::backbone::contract::{Seen, retention};
use crate::protocol::AckStatus;

const TOPICS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    /// Publishes this many fresh messages, all in flight at once.
    Publish { topic: usize, count: usize },
    /// Publishes an id again that was used this many messages ago.
    Again { ago: usize },
    /// Closes and opens.
    Restart,
    /// Goes on with what a crash would leave while this many are in flight: all that was
    /// acknowledged, and of the rest this part of its bytes.
    Crash {
        in_flight: usize,
        part: f64,
        zeros: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3_usize, 1..20_usize).prop_map(|(topic, count)| Step::Publish { topic, count }),
        2 => (0..50_usize).prop_map(|ago| Step::Again { ago }),
        1 => Just(Step::Restart),
        2 => (0..20_usize, 0.0..1.0, any::<bool>())
            .prop_map(|(in_flight, part, zeros)| Step::Crash { in_flight, part, zeros }),
    ];
    proptest::collection::vec(step, 1..25)
}

/// Where an acknowledged message is.
#[derive(Debug, Clone, PartialEq)]
struct At {
    topic: &'static str,
    seq_no: SeqNo,
    epoch: String,
}

struct Model {
    dir: tempfile::TempDir,
    disk: Option<Disk>,
    seen: Arc<Seen>,
    interval: Option<Duration>,
    retention: Retention,
    opened: usize,
    used: usize,
    ids: Vec<(String, &'static str)>,
    acked: HashMap<String, At>,
    /// What every number of an epoch was given to.
    given: HashMap<(String, &'static str, SeqNo), String>,
}

type Waiting = (String, &'static str, Answer<Result<Published, Unavailable>>);

impl Model {
    fn new(interval: Option<Duration>) -> Self {
        let mut model = Self {
            dir: tempfile::tempdir().unwrap(),
            disk: None,
            seen: Arc::default(),
            interval,
            // Small segments, and more room than is used.
            retention: Retention {
                history_bytes: 8 * 16384,
                history_size: 10_000,
                ..retention()
            },
            opened: 0,
            used: 0,
            ids: Vec::new(),
            acked: HashMap::new(),
            given: HashMap::new(),
        };
        model.open();
        model
    }

    fn open(&mut self) {
        self.opened += 1;
        self.seen = Arc::default();
        let options = Options {
            dir: self.dir.path().to_owned(),
            fsync_interval: self.interval,
            new_epoch: Epoch::new(&format!("e{}", self.opened)),
        };
        let disk = Disk::open(at(0), options, &self.retention, self.seen.clone());
        self.disk = Some(disk.unwrap());
    }

    fn send(&mut self, topic: &'static str, count: usize) -> Vec<Waiting> {
        let disk = self.disk.as_ref().unwrap();
        let first = self.used;
        self.used += count;
        let ids = (first..first + count).map(|i| format!("m{i}"));
        let waiting: Vec<_> = ids
            .map(|id| {
                let payload = format!("\"{id}\"");
                let answer = disk.publish(at(0), publication(topic, &id, &payload));
                (id, topic, answer)
            })
            .collect();
        self.ids
            .extend(waiting.iter().map(|(id, topic, _)| (id.clone(), *topic)));
        waiting
    }

    fn settle(&mut self, waiting: Vec<Waiting>) {
        for (id, topic, answer) in waiting {
            let published = wait(answer).unwrap();
            assert_eq!(published.status, AckStatus::Ok);
            self.settled(id, topic, &published);
        }
    }

    fn settled(&mut self, id: String, topic: &'static str, published: &Published) {
        let (seq_no, epoch) = (published.seq_no, published.epoch.as_str().to_owned());
        let before = self
            .given
            .insert((epoch.clone(), topic, seq_no), id.clone());
        assert_eq!(before, None, "given twice: {topic} {seq_no} of {epoch}");
        self.acked.insert(
            id,
            At {
                topic,
                seq_no,
                epoch,
            },
        );
    }

    fn again(&mut self, ago: usize) {
        let Some(i) = self.ids.len().checked_sub(ago + 1) else {
            return;
        };
        let (id, topic) = self.ids[i].clone();
        let disk = self.disk.as_ref().unwrap();
        let published = wait(disk.publish(at(0), publication(topic, &id, "\"again\""))).unwrap();
        match self.acked.get(&id) {
            Some(first) => {
                assert_eq!(published.status, AckStatus::Duplicate, "{id}");
                assert_eq!(published.seq_no, first.seq_no, "{id}");
            }
            None => self.settled(id, topic, &published),
        }
    }

    /// Cuts the image's last segment where a power cut could: behind what was acknowledged. With an
    /// interval, anywhere.
    fn cut(&self, image: &Path, delivered: &[SeqNo], part: f64, zeros: bool) {
        let index = *segment::list(image).unwrap().last().unwrap();
        let path = image.join(format!("{index:012}.log"));
        let bytes = fs::read(&path).unwrap();
        if bytes.len() < segment::HEADER {
            // It was just being made: nothing in it was acknowledged.
            return;
        }
        let mut acked_end = segment::HEADER;
        let mut at = segment::HEADER;
        while let Some(rest) = bytes.get(at..)
            && let format::Next::Record(stored, length) = format::next(rest)
        {
            at += length;
            let publication = stored.publication;
            let shown = publication.topic == "a" && delivered.contains(&stored.seq_no);
            let safe = shown || self.acked.contains_key(publication.message_id);
            if safe && self.interval.is_none() {
                acked_end = at;
            }
        }
        let room = bytes.len() - acked_end;
        let end = acked_end + (room as f64 * part) as usize;
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(end as u64).unwrap();
        if zeros {
            // It is only certain that zeros were never written where no record was begun.
            file.set_len(acked_end as u64).unwrap();
            file.set_len(bytes.len() as u64).unwrap();
        }
    }

    fn crash(&mut self, in_flight: usize, part: f64, zeros: bool) {
        let waiting = self.send("a", in_flight);
        let delivered = self.seen.numbers("a");
        let image = crash_image(self.dir.path());
        self.cut(image.path(), &delivered, part, zeros);
        // The old one ends behind our back: what it answers now, nobody hears.
        drop(waiting);
        self.disk = None;
        self.dir = image;
        self.open();
        let (records, epoch) = kept(self.disk.as_ref().unwrap(), "a");
        if self.interval.is_none() {
            // Nobody has seen what a crash can take back.
            let kept: Vec<SeqNo> = records.into_iter().map(|(seq_no, _)| seq_no).collect();
            assert!(delivered.iter().all(|seq_no| kept.contains(seq_no)));
        } else {
            // Acknowledged messages may be gone, and the epoch says so.
            assert_eq!(epoch, format!("e{}", self.opened));
            self.acked.retain(|_, at| at.epoch == epoch);
            self.ids.clear();
        }
    }

    /// Everything acknowledged is there once, at its place, in its epoch.
    fn check(&self) {
        let disk = self.disk.as_ref().unwrap();
        for topic in TOPICS {
            let (records, epoch) = kept(disk, topic);
            let text: HashMap<SeqNo, String> = records.into_iter().collect();
            for (id, at) in self.acked.iter().filter(|(_, at)| at.topic == topic) {
                assert_eq!(at.epoch, epoch);
                let json = text.get(&at.seq_no);
                let json = json.unwrap_or_else(|| panic!("{id} is lost: {topic} {}", at.seq_no));
                assert!(json.contains(&format!("\"messageId\":\"{id}\"")), "{json}");
            }
            for id in self.acked.keys() {
                let mark = format!("\"messageId\":\"{id}\"");
                let times = text.values().filter(|json| json.contains(&mark)).count();
                assert!(times <= 1, "{id} is there {times} times");
            }
        }
    }

    fn run(mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Publish { topic, count } => {
                    let waiting = self.send(TOPICS[topic], count);
                    self.settle(waiting);
                }
                Step::Again { ago } => self.again(ago),
                Step::Restart => {
                    self.disk = None;
                    self.open();
                }
                Step::Crash {
                    in_flight,
                    part,
                    zeros,
                } => self.crash(in_flight, part, zeros),
            }
            self.check();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_acknowledged_is_lost_and_no_number_is_given_twice(steps in steps()) {
        Model::new(None).run(steps);
    }

    #[test]
    fn with_an_interval_a_loss_is_another_epoch(steps in steps()) {
        Model::new(Some(Duration::from_millis(5))).run(steps);
    }
}

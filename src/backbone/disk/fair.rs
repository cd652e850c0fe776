//! One who floods and one who writes little, through restarts and crashes: what the second one wrote
//! stays, the log keeps within its bytes, and no number is given twice.

use std::collections::HashMap;
use std::fs;

use proptest::prelude::*;

use super::tests::{at, crash_image, kept, wait};
use super::*;
use crate::backbone::contract::{Seen, retention};
use crate::protocol::AckStatus;

const TOTAL: u64 = 64 << 10;
const FLOODS: [&str; 2] = ["bob", "cid"];
const EPOCH: &str = "e1";
/// Messages of the one who writes little: less than an equal part of the log.
const MINE: usize = 60;

#[derive(Debug, Clone)]
enum Step {
    /// This many messages of one who floods, all at once, in so many topics.
    Flood {
        user: usize,
        count: usize,
        topics: usize,
        length: usize,
    },
    /// This many messages of the one who writes little.
    Mine { count: usize, topic: usize },
    /// What is forgotten is written down, and what failed is tried again.
    Tend,
    /// Closes it, and opens it with more room for a while.
    Restart,
    /// Goes on with what a crash leaves: this part of what was not brought to the disk yet.
    Crash { part: f64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..2_usize, 1..150_usize, 1..40_usize, 1..500_usize)
            .prop_map(|(user, count, topics, length)| Step::Flood { user, count, topics, length }),
        3 => (1..8_usize, 0..3_usize).prop_map(|(count, topic)| Step::Mine { count, topic }),
        1 => Just(Step::Tend),
        1 => Just(Step::Restart),
        2 => (0.0..1.0).prop_map(|part| Step::Crash { part }),
    ];
    proptest::collection::vec(step, 1..25)
}

struct Story {
    dir: tempfile::TempDir,
    disk: Option<Disk>,
    used: usize,
    /// Topic, number and id of each message of the one who writes little.
    mine: Vec<(String, SeqNo, String)>,
    /// What every number was given to.
    given: HashMap<(String, SeqNo), String>,
    /// The highest end of each topic that anybody was told.
    told: HashMap<String, SeqNo>,
    swept: usize,
}

impl Story {
    fn new() -> Self {
        let mut story = Self {
            dir: tempfile::tempdir().unwrap(),
            disk: None,
            used: 0,
            mine: Vec::new(),
            given: HashMap::new(),
            told: HashMap::new(),
            swept: 0,
        };
        story.open(EPOCH, TOTAL);
        story
    }

    /// Opens it. Who floods and who does not may not fall into one share of the users, which chance
    /// decides each time.
    fn open(&mut self, new_epoch: &str, total: u64) {
        self.disk = None;
        let apart = |fingerprints: &Fingerprints| {
            let share = |user| fingerprints.of(user, "").share();
            FLOODS.iter().all(|user| share(user) != share("ann"))
        };
        let fingerprints = std::iter::repeat_with(Fingerprints::default).find(apart);
        let options = Options {
            dir: self.dir.path().to_owned(),
            fsync_interval: None,
            new_epoch: Epoch::new(new_epoch),
        };
        let retention = Retention {
            history_bytes: total as usize,
            history_size: 100_000,
            ..retention()
        };
        let events = Arc::new(Seen::default());
        let disk = Disk::open_dir(at(0), options, &retention, events, fingerprints.unwrap());
        self.disk = Some(disk.unwrap());
    }

    /// Publishes all of these at once, each with a fresh id.
    fn publish(&mut self, user: &str, topics: &[String], payload: &str) -> Vec<(SeqNo, String)> {
        let disk = self.disk.as_ref().unwrap();
        let waiting: Vec<_> = (self.used..)
            .zip(topics)
            .map(|(id, topic)| {
                let publication = Publication {
                    user,
                    topic,
                    message_id: &id.to_string(),
                    payload,
                    sig: None,
                };
                disk.publish(at(0), publication)
            })
            .collect();
        let mut done = Vec::new();
        for (topic, answer) in topics.iter().zip(waiting) {
            let published = wait(answer).unwrap();
            assert_eq!(published.status, AckStatus::Ok);
            let (seq_no, id) = (published.seq_no, self.used.to_string());
            let before = self.given.insert((topic.clone(), seq_no), id.clone());
            assert_eq!(before, None, "given twice: {topic} {seq_no}");
            let told = self.told.get(topic).copied().unwrap_or_default();
            assert!(seq_no > told, "{topic} {seq_no}, told {told}");
            self.used += 1;
            done.push((seq_no, id));
        }
        done
    }

    fn flood(&mut self, user: usize, count: usize, topics: usize, length: usize) {
        let user = FLOODS[user];
        let topics: Vec<_> = (0..count)
            .map(|i| format!("{user}{}", i % topics))
            .collect();
        let payload = format!("\"{}\"", "x".repeat(length));
        self.publish(user, &topics, &payload);
    }

    /// With more room, what went and is still on disk would be kept again: it must not be taken for the
    /// end of its topic.
    fn restart(&mut self) {
        self.open("lost", 8 * TOTAL);
        for user in 0..FLOODS.len() {
            self.flood(user, 40, 40, 1);
        }
        self.open("lost", TOTAL);
        self.flood(0, 1, 1, 1);
    }

    fn write(&mut self, count: usize, topic: usize) {
        let count = count.min(MINE - self.mine.len());
        let topics = vec![format!("mine{topic}"); count];
        let done = self.publish("ann", &topics, "{}");
        let mine = done.into_iter().zip(topics);
        self.mine
            .extend(mine.map(|((seq_no, id), topic)| (topic, seq_no, id)));
    }

    fn crash(&mut self, part: f64) {
        let image = crash_image(self.dir.path());
        // An append of which nobody was told, and a copy that was not whole yet.
        let last = *segment::list(image.path()).unwrap().last().unwrap();
        let path = image.path().join(format!("{last:012}.log"));
        let mut record = format::gone("bob0", 1);
        record.truncate((record.len() as f64 * part) as usize);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(&record);
        fs::write(&path, bytes).unwrap();
        if let Ok(mut bytes) = fs::read(image.path().join("sweep.new")) {
            bytes.truncate((bytes.len() as f64 * part) as usize);
            fs::write(image.path().join("sweep.new"), bytes).unwrap();
        }
        self.disk = None;
        self.dir = image;
        self.open("lost", TOTAL);
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Flood {
                user,
                count,
                topics,
                length,
            } => self.flood(user, count, topics, length),
            Step::Mine { count, topic } => self.write(count, topic),
            Step::Tend => {
                self.disk.as_ref().unwrap().tend(at(0));
                // Whatever is asked after it is answered after it.
                self.flood(0, 1, 1, 1);
            }
            Step::Restart => self.restart(),
            Step::Crash { part } => self.crash(part),
        }
        self.check();
    }

    fn check(&mut self) {
        let disk = self.disk.as_ref().unwrap();
        let mut found = HashMap::new();
        let topics = (0..3).map(|i| format!("mine{i}"));
        let floods = FLOODS
            .iter()
            .flat_map(|user| (0..40).map(move |i| format!("{user}{i}")));
        for topic in topics.chain(floods) {
            let (records, epoch) = kept(disk, &topic);
            assert_eq!(epoch, EPOCH);
            let name = Topic::new(&topic).unwrap();
            let end = wait(disk.replay(at(0), &name, None)).unwrap().head.seq_no;
            let told = self.told.entry(topic.clone()).or_default();
            assert!(*told <= end, "the end of {topic} goes back: {told} {end}");
            *told = end;
            let numbers: Vec<SeqNo> = records.iter().map(|(seq_no, _)| *seq_no).collect();
            assert!(numbers.windows(2).all(|w| w[0] + 1 == w[1]), "{numbers:?}");
            for (seq_no, json) in records {
                let id = &self.given[&(topic.clone(), seq_no)];
                assert!(json.contains(&format!("\"messageId\":\"{id}\"")), "{json}");
                found.insert((topic.clone(), seq_no), json);
            }
        }
        for (topic, seq_no, id) in &self.mine {
            let place = (topic.clone(), *seq_no);
            assert!(
                found.contains_key(&place),
                "{topic} {seq_no} was pushed out"
            );
            let again = Publication {
                user: "ann",
                topic,
                message_id: id,
                payload: "{}",
                sig: None,
            };
            let again = wait(disk.publish(at(0), again)).unwrap();
            let duplicate = (AckStatus::Duplicate, *seq_no);
            assert_eq!((again.status, again.seq_no), duplicate);
        }
        let names = fs::read_dir(self.dir.path()).unwrap();
        let of_the_log = names.filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?;
            (name.ends_with(".log") || name == "sweep.new").then_some(path)
        });
        let mut bytes = 0;
        for path in of_the_log {
            let file = fs::read(path).unwrap();
            self.swept += usize::from(file.starts_with(b"msocket2"));
            bytes += file.len() as u64;
        }
        assert!(bytes <= TOTAL, "{bytes}");
    }
}

#[test]
fn a_flood_does_not_push_out_what_others_wrote() {
    let mut story = Story::new();
    story.write(10, 0);
    for i in 0..120 {
        story.run(&Step::Flood {
            user: 0,
            count: 100,
            topics: 1 + i % 7,
            length: 80,
        });
        if i % 20 == 5 {
            story.run(&Step::Mine { count: 3, topic: 1 });
            story.run(&Step::Crash { part: 0.5 });
        }
        if i % 20 == 15 {
            story.run(&Step::Restart);
        }
    }
    assert!(story.swept > 100, "{}", story.swept);
    let disk = story.disk.as_ref().unwrap();
    let flood: usize = (0..7).map(|i| kept(disk, &format!("bob{i}")).0.len()).sum();
    assert!(flood > 50, "the one who floods has the rest: {flood}");
}

#[test]
fn restarts_do_not_end_the_making_of_room() {
    let mut story = Story::new();
    for topic in 0..3 {
        story.write(7, topic);
    }
    story.flood(1, 300, 39, 200);
    story.flood(0, 800, 7, 200);
    for _ in 0..30 {
        story.run(&Step::Flood {
            user: 0,
            count: 10,
            topics: 7,
            length: 200,
        });
        story.run(&Step::Crash { part: 0.0 });
    }
}

#[test]
fn what_cannot_be_swept_goes_as_it_came() {
    let mut story = Story::new();
    story.write(5, 0);
    story.run(&Step::Flood {
        user: 0,
        count: 300,
        topics: 3,
        length: 100,
    });
    // The first record of the log is no longer what was written.
    let first = segment::list(story.dir.path()).unwrap()[0];
    let path = story.dir.path().join(format!("{first:012}.log"));
    let mut bytes = fs::read(&path).unwrap();
    bytes[segment::HEADER + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    for _ in 0..20 {
        story.flood(0, 100, 3, 100);
        let files = fs::read_dir(story.dir.path()).unwrap();
        let bytes: u64 = files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        assert!(bytes <= TOTAL + 1000, "{bytes}");
    }
    assert!(kept(story.disk.as_ref().unwrap(), "mine0").0.is_empty());
    let next = story.publish("ann", &["mine0".to_owned()], "{}");
    assert!(next[0].0 > 5, "{next:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn however_it_is_mixed_nothing_of_the_light_one_goes(steps in steps()) {
        let mut story = Story::new();
        for step in &steps {
            story.run(step);
        }
    }
}

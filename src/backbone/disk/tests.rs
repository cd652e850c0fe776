use std::fs;
use std::os::unix::fs::FileExt as _;

use super::*;
use crate::backbone::contract::{Seen, retention};
use crate::protocol::AckStatus;

/// This many milliseconds after the start, by both clocks.
pub(super) fn at(ms: u64) -> Now {
    Now {
        mono_ns: ms * 1_000_000,
        unix_ms: 1_700_000_000_000 + ms,
    }
}

pub(super) fn open_at(
    now: Now,
    dir: &Path,
    new_epoch: &str,
    fsync_interval: Option<Duration>,
    retention: &Retention,
) -> io::Result<Disk> {
    let options = Options {
        dir: dir.to_owned(),
        fsync_interval,
        new_epoch: Epoch::new(new_epoch),
    };
    Disk::open(now, options, retention, Arc::new(Seen::default()))
}

pub(super) fn open(dir: &Path, new_epoch: &str) -> Disk {
    open_at(at(0), dir, new_epoch, None, &retention()).unwrap()
}

/// The answer, waited for on this thread.
pub(super) fn wait<T: Unpin>(answer: Answer<Result<T, Unavailable>>) -> Result<T, Unavailable> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(answer)
}

pub(super) fn publication<'a>(topic: &'a str, id: &'a str, payload: &'a str) -> Publication<'a> {
    Publication {
        user: "ann",
        topic,
        message_id: id,
        payload,
        sig: None,
    }
}

pub(super) fn publish(
    disk: &Disk,
    ms: u64,
    topic: &str,
    id: &str,
) -> Result<Published, Unavailable> {
    wait(disk.publish(at(ms), publication(topic, id, "{}")))
}

/// The numbers and the JSON of what is kept, and the epoch.
pub(super) fn kept(disk: &Disk, topic: &str) -> (Vec<(SeqNo, String)>, String) {
    let topic = Topic::new(topic).unwrap();
    let history = wait(disk.history(at(0), &topic, 0, PageSize::ALL)).unwrap();
    let records = history.records.iter();
    let records = records.map(|record| {
        let json = String::from_utf8(record.json().to_vec()).unwrap();
        (record.seq_no, json)
    });
    (records.collect(), history.head.epoch.as_str().to_owned())
}

pub(super) fn numbers(disk: &Disk, topic: &str) -> Vec<SeqNo> {
    kept(disk, topic)
        .0
        .into_iter()
        .map(|(seq, _)| seq)
        .collect()
}

/// Copies a log as a crash would leave it. The newest segment first: what is appended meanwhile can
/// then only make the copy longer.
pub(super) fn crash_image(from: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    let mut names: Vec<_> = fs::read_dir(from)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort_unstable();
    for name in names.iter().rev() {
        match fs::copy(from.join(name), image.path().join(name)) {
            // The oldest may be let go of meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => drop(copied.unwrap()),
        }
    }
    image
}

pub(super) fn log_files(dir: &Path) -> Vec<PathBuf> {
    let path = |index: u64| dir.join(format!("{index:012}.log"));
    segment::list(dir).unwrap().into_iter().map(path).collect()
}

pub(super) fn log_bytes(dir: &Path) -> u64 {
    let length = |path: &PathBuf| fs::metadata(path).unwrap().len();
    log_files(dir).iter().map(length).sum()
}

#[test]
fn a_restart_keeps_numbers_payloads_ids_and_the_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), "e1");
    let payload = r#"{ "x" : 1.0e400, "x":[ ] }"#;
    wait(disk.publish(at(0), publication("t", "m1", payload))).unwrap();
    publish(&disk, 1, "t", "m2").unwrap();
    let before = kept(&disk, "t");
    drop(disk);

    let disk = open_at(at(1000), dir.path(), "e2", None, &retention()).unwrap();
    assert_eq!(kept(&disk, "t"), before);
    assert!(before.0[0].1.ends_with(&format!("\"data\":{payload}}}")));
    let again = publish(&disk, 1000, "t", "m1").unwrap();
    assert_eq!((again.status, again.seq_no), (AckStatus::Duplicate, 1));
    assert_eq!(again.epoch.as_str(), "e1");
    assert_eq!(publish(&disk, 1000, "t", "m3").unwrap().seq_no, 3);
    // A topic that nobody knows begins above every number that was ever told.
    assert!(publish(&disk, 1000, "new", "m4").unwrap().seq_no > 2);
}

#[test]
fn an_id_is_free_when_its_time_is_over_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    publish(&open(dir.path(), "e1"), 0, "t", "m").unwrap();
    for (ms, status) in [(29_999, AckStatus::Duplicate), (30_000, AckStatus::Ok)] {
        let disk = open_at(at(ms), dir.path(), "e2", None, &retention()).unwrap();
        assert_eq!(publish(&disk, ms, "t", "m").unwrap().status, status, "{ms}");
    }
}

#[test]
fn a_torn_tail_is_cut_at_the_last_whole_message() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), "e1");
    for i in 0..4 {
        publish(&disk, 0, "t", &i.to_string()).unwrap();
    }
    let file = &log_files(dir.path())[0];
    let start = fs::metadata(file).unwrap().len();
    publish(&disk, 0, "t", "last").unwrap();
    let end = fs::metadata(file).unwrap().len();
    for cut in start..end {
        let image = crash_image(dir.path());
        let file = fs::File::options()
            .write(true)
            .open(&log_files(image.path())[0]);
        let file = file.unwrap();
        file.set_len(cut).unwrap();
        if cut % 2 == 0 {
            // Room that the file system gave but nobody wrote into.
            let started = cut > start;
            file.set_len(if started { cut } else { end + 100 }).unwrap();
        }
        let disk = open(image.path(), "e2");
        assert_eq!(numbers(&disk, "t"), [1, 2, 3, 4], "cut at {cut}");
        assert_eq!(kept(&disk, "t").1, "e1", "cut at {cut}");
        let again = publish(&disk, 0, "t", "last").unwrap();
        assert_eq!((again.status, again.seq_no), (AckStatus::Ok, 5));
    }
}

#[test]
fn a_flipped_bit_is_never_served_and_never_passed_over() {
    let small = Retention {
        history_bytes: 32 << 10,
        history_size: 1000,
        ..retention()
    };
    let dir = tempfile::tempdir().unwrap();
    let disk = open_at(at(0), dir.path(), "e1", None, &small).unwrap();
    for i in 0..100 {
        let payload = format!("\"{}\"", i.to_string().repeat(20));
        wait(disk.publish(at(0), publication("t", &i.to_string(), &payload))).unwrap();
    }
    let whole = kept(&disk, "t");
    drop(disk);
    assert!(log_files(dir.path()).len() > 2);
    let mut cut = 0;
    let files = log_files(dir.path()).len();
    for name in 0..=files {
        let name_of = |dir: &Path| match log_files(dir).get(name) {
            Some(path) => path.clone(),
            None => dir.join("epoch.json"),
        };
        let length = fs::metadata(name_of(dir.path())).unwrap().len();
        let step = if length > 1000 { 97 } else { 5 };
        for byte in (0..length).step_by(step) {
            let image = crash_image(dir.path());
            let file = File::options()
                .read(true)
                .write(true)
                .open(name_of(image.path()))
                .unwrap();
            let mut value = [0];
            file.read_exact_at(&mut value, byte).unwrap();
            value[0] ^= 1 << (byte % 8);
            file.write_all_at(&value, byte).unwrap();
            drop(file);
            let disk = open_at(at(0), image.path(), "e2", None, &small).unwrap();
            let (records, epoch) = kept(&disk, "t");
            assert!(
                whole.0.starts_with(&records),
                "file {name}, byte {byte}: served what was not published"
            );
            if records.len() < whole.0.len() {
                assert_ne!(epoch, "e1", "file {name}, byte {byte}");
                cut += 1;
            }
        }
    }
    assert!(cut > 100, "only {cut} flips were found");
}

#[test]
fn what_rots_while_it_runs_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), "e1");
    for i in 0..3 {
        publish(&disk, 0, "t", &i.to_string()).unwrap();
    }
    let file = File::options()
        .write(true)
        .open(&log_files(dir.path())[0])
        .unwrap();
    let end = file.metadata().unwrap().len();
    file.write_all_at(b"!", end - 1).unwrap();
    assert_eq!(numbers(&disk, "t"), [1, 2]);
    let position = Position {
        epoch: None,
        seq_no: 0,
    };
    let replay = disk.replay(at(0), &Topic::new("t").unwrap(), Some(&position));
    let outcome = wait(replay).unwrap().outcome;
    assert_eq!(outcome.unwrap_err(), UnrecoveredReason::Unknown);
}

#[test]
fn with_an_interval_only_a_proper_close_keeps_the_epoch() {
    let interval = Some(Duration::from_millis(1));
    let dir = tempfile::tempdir().unwrap();
    let open = |dir: &Path, epoch| open_at(at(0), dir, epoch, interval, &retention()).unwrap();
    let disk = open(dir.path(), "e1");
    publish(&disk, 0, "t", "a").unwrap();
    let image = crash_image(dir.path());
    assert_eq!(kept(&open(image.path(), "e2"), "t").1, "e2");
    drop(disk);
    assert_eq!(kept(&open(dir.path(), "e2"), "t").1, "e1");
    // The level may change at a restart.
    let synced = open_at(at(0), dir.path(), "e3", None, &retention()).unwrap();
    assert_eq!(kept(&synced, "t").1, "e1");
    let image = crash_image(dir.path());
    assert_eq!(kept(&open(image.path(), "e4"), "t").1, "e1");
}

#[test]
fn the_log_stays_within_its_bytes_and_says_what_it_let_go() {
    let small = Retention {
        history_bytes: 64 << 10,
        history_size: usize::MAX,
        ..retention()
    };
    let dir = tempfile::tempdir().unwrap();
    let disk = open_at(at(0), dir.path(), "e1", None, &small).unwrap();
    for i in 0..2000 {
        publish(&disk, 0, "t", &i.to_string()).unwrap();
        assert!(log_bytes(dir.path()) <= 64 << 10);
    }
    let before = numbers(&disk, "t");
    assert_eq!(before.last(), Some(&2000));
    assert!(before.len() > 100);
    let position = Position {
        epoch: None,
        seq_no: before[0] - 2,
    };
    let replay = disk.replay(at(0), &Topic::new("t").unwrap(), Some(&position));
    let outcome = wait(replay).unwrap().outcome;
    assert_eq!(outcome.unwrap_err(), UnrecoveredReason::Trimmed);
    drop(disk);
    let disk = open_at(at(0), dir.path(), "e2", None, &small).unwrap();
    assert_eq!(numbers(&disk, "t").last(), Some(&2000));
    assert_eq!(kept(&disk, "t").1, "e1");
}

#[test]
fn an_old_log_gives_its_space_back_and_goes_on_counting() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), "e1");
    for i in 0..50 {
        publish(&disk, 0, "t", &i.to_string()).unwrap();
    }
    let full = log_bytes(dir.path());
    for ms in [20_000, 60_000, 60_001] {
        disk.tend(at(ms));
        // Whatever is asked after it is answered after it.
        let _ = publish(&disk, ms, "other", "same").unwrap();
    }
    assert!(numbers(&disk, "t").is_empty());
    assert!(log_bytes(dir.path()) < full / 2);
    drop(disk);
    let disk = open_at(at(60_001), dir.path(), "e2", None, &retention()).unwrap();
    let next = publish(&disk, 60_001, "t", "next").unwrap();
    assert!(next.seq_no > 50, "{next:?}");
    assert_eq!(next.epoch.as_str(), "e1");
}

#[test]
fn a_directory_is_made_with_those_it_is_in() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/b/c");
    open(&dir, "e1");
    assert_eq!(kept(&open(&dir, "e2"), "t").1, "e1");
    // Where a file is, there is no directory.
    fs::write(parent.path().join("file"), "").unwrap();
    let inside = parent.path().join("file/log");
    let Err(refused) = open_at(at(0), &inside, "e1", None, &retention()) else {
        panic!("it was made in a file");
    };
    let refused = refused.to_string();
    assert!(refused.contains("file/log: "), "{refused}");
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), "e1");
    let Err(refused) = open_at(at(0), dir.path(), "e2", None, &retention()) else {
        panic!("both have it");
    };
    let refused = refused.to_string();
    assert!(refused.contains("another micro-socket"), "{refused}");
    assert!(refused.contains(dir.path().to_str().unwrap()), "{refused}");
    drop(first);
    open(dir.path(), "e2");
}

#[test]
fn what_is_closed_can_be_opened_though_a_child_still_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), "e1");
    // A child that another thread starts has all files of this process until it becomes its program.
    let held = disk.writer.lock().as_ref().unwrap().1.try_clone().unwrap();
    drop(disk);
    open(dir.path(), "e2");
    drop(held);
}

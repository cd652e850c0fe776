//! The disk fails, or is full.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::time::Instant;

use super::tests::{at, crash_image, kept, numbers, open, open_at, publication, publish, wait};
use super::*;
use crate::backbone::contract::retention;
use crate::protocol::AckStatus;

#[test]
fn a_failed_write_or_fsync_leaves_no_trace_and_heals() {
    for fault in ["fail-write", "fail-sync"] {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), "e1");
        publish(&disk, 0, "t", "a").unwrap();
        fs::write(dir.path().join(fault), "").unwrap();
        let copies = [(); 2].map(|()| disk.publish(at(0), publication("t", "b", "{}")));
        for copy in copies {
            wait(copy).unwrap_err();
        }
        disk.health().unwrap_err();
        publish(&disk, 0, "t", "c").unwrap_err();
        // What a crash leaves now is what was acknowledged.
        let image = crash_image(dir.path());
        fs::remove_file(image.path().join(fault)).unwrap();
        let crashed = open(image.path(), "e2");
        assert_eq!(kept(&crashed, "t").1, "e1", "{fault}");
        assert_eq!(kept(&crashed, "t").0.len(), 1, "{fault}");

        fs::remove_file(dir.path().join(fault)).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while disk.health().is_err() {
            assert!(Instant::now() < until, "{fault}: did not heal");
            disk.tend(at(0));
            thread::yield_now();
        }
        let b = publish(&disk, 0, "t", "b").unwrap();
        assert_eq!((b.status, b.seq_no), (AckStatus::Ok, 2));
        let before = kept(&disk, "t");
        drop(disk);
        assert_eq!(kept(&open(dir.path(), "e2"), "t"), before, "{fault}");
    }
}

#[test]
fn with_an_interval_a_failed_fsync_stops_it_until_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let interval = Some(Duration::from_millis(1));
    let disk = open_at(at(0), dir.path(), "e1", interval, &retention()).unwrap();
    fs::write(dir.path().join("fail-sync"), "").unwrap();
    publish(&disk, 0, "t", "a").unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while disk.health().is_ok() {
        assert!(Instant::now() < until, "nobody noticed");
        thread::yield_now();
    }
    fs::remove_file(dir.path().join("fail-sync")).unwrap();
    publish(&disk, 0, "t", "b").unwrap_err();
    drop(disk);
    let disk = open_at(at(0), dir.path(), "e2", interval, &retention()).unwrap();
    assert_eq!(kept(&disk, "t").1, "e2");
}

#[test]
fn with_an_interval_a_failed_write_does_not_hide_a_failed_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let interval = Some(Duration::from_secs(3600));
    let disk = open_at(at(0), dir.path(), "e1", interval, &retention()).unwrap();
    publish(&disk, 0, "t", "a").unwrap();
    // The system says once that it could not bring the first message to the disk.
    for fault in ["fail-write", "fail-sync-once"] {
        fs::write(dir.path().join(fault), "").unwrap();
    }
    publish(&disk, 0, "t", "b").unwrap_err();
    fs::remove_file(dir.path().join("fail-write")).unwrap();
    assert!(!dir.path().join("fail-sync-once").exists());
    drop(disk);
    let disk = open_at(at(0), dir.path(), "e2", interval, &retention()).unwrap();
    assert_eq!(kept(&disk, "t").1, "e2");
}

/// A file system of one MiB, if this user may make one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "none"])
            .arg(dir.path())
            .output();
        mounted
            .is_ok_and(|out| out.status.success())
            .then(|| Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let Some(small) = SmallDisk::mount() else {
        eprintln!("skipped: this user may not mount a small file system");
        return;
    };
    let dir = small.0.path().join("log");
    let retention = Retention {
        history_size: 1000,
        ..retention()
    };
    let open = |dir: &Path, epoch| open_at(at(0), dir, epoch, None, &retention).unwrap();
    let ballast = small.0.path().join("ballast");
    fs::write(&ballast, vec![0; 300 << 10]).unwrap();
    let disk = open(&dir, "e1");
    let payload = format!("\"{}\"", "x".repeat(5000));
    let publish = |disk: &Disk, i: u64| {
        let id = i.to_string();
        wait(disk.publish(at(0), publication("t", &id, &payload)))
    };
    let refused = (0..1000).find(|i| publish(&disk, *i).is_err()).unwrap();
    assert!(refused > 50, "{refused}");
    disk.health().unwrap_err();
    let acked: Vec<u64> = (1..=refused).collect();
    assert_eq!(numbers(&disk, "t"), acked);
    drop(disk);
    // Neither reading nor restarting needs room.
    let disk = open(&dir, "e2");
    assert_eq!(numbers(&disk, "t"), acked);
    // Room comes back: what was refused is accepted under the same id, without a restart.
    fs::remove_file(&ballast).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while disk.health().is_err() {
        assert!(Instant::now() < until, "did not recover");
        disk.tend(at(0));
        thread::yield_now();
    }
    let again = publish(&disk, refused).unwrap();
    assert_eq!((again.status, again.seq_no), (AckStatus::Ok, refused + 1));
    drop(disk);
    let disk = open(&dir, "e2");
    assert_eq!(numbers(&disk, "t").len() as u64, refused + 1);
    assert_eq!(kept(&disk, "t").1, "e1");
}

#[test]
fn with_an_interval_too_a_restart_needs_no_room() {
    let Some(small) = SmallDisk::mount() else {
        eprintln!("skipped: this user may not mount a small file system");
        return;
    };
    let dir = small.0.path().join("log");
    let interval = Some(Duration::from_millis(1));
    let open = |epoch| open_at(at(0), &dir, epoch, interval, &retention()).unwrap();
    let disk = open("e1");
    publish(&disk, 0, "t", "a").unwrap();
    let mut ballast = File::create(small.0.path().join("ballast")).unwrap();
    while ballast.write_all(&[0; 4096]).is_ok() {}
    let state = dir.join("epoch.json");
    let running = fs::read(&state).unwrap();
    drop(disk);
    let disk = open("e2");
    assert_eq!((numbers(&disk, "t"), &*kept(&disk, "t").1), (vec![1], "e1"));
    drop(disk);
    // It was not closed.
    let file = File::options().write(true).open(&state).unwrap();
    file.write_all_at(&running, 0).unwrap();
    file.set_len(running.len() as u64).unwrap();
    let disk = open("e3");
    assert_eq!((numbers(&disk, "t"), &*kept(&disk, "t").1), (vec![1], "e3"));
}

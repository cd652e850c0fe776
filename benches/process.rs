//! What the kernel says about a process.

use std::fs;
use std::time::Duration;

use crate::Outcome;

/// The processor time, user and system, that all threads of a process have had.
pub fn cpu(pid: u32) -> Outcome<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while the list is read.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let first = text.split(' ').next().unwrap_or_default();
        nanos += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// The time for which cores have worked since the machine started, in steps of 10 ms.
pub fn worked(cores: &str) -> Outcome<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let mut ticks = 0;
    for core in cores.split(',') {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cpu{core} ")));
        let columns = line.ok_or("/proc/stat has no such core")?.split(' ');
        // user, nice, system, then two of waiting, then irq, softirq, steal.
        for (column, value) in columns.enumerate().take(8) {
            if column != 3 && column != 4 {
                ticks += value.parse::<u64>()?;
            }
        }
    }
    Ok(Duration::from_millis(ticks * 10))
}

/// The bytes of memory that a process holds. (`VmRSS` is counted per core and can be off by megabytes.)
pub fn memory(pid: u32) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: f64 = kib.ok_or("smaps_rollup has no Rss")?.trim().parse()?;
    Ok(kib * 1024.0)
}

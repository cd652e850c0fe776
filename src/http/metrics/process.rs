//! What the system says about this process, under the names that every Prometheus client library
//! gives it. Linux only: elsewhere the series are missing.

use std::fs;

use super::exposition::Exposition;

/// Ticks per second in `/proc/self/stat`, the same on every Linux that this is built for.
const TICKS: f64 = 100.0;

pub(super) fn expose(out: &mut Exposition) {
    if let Some(bytes) = resident_bytes() {
        let help = "Memory of the process that is in RAM.";
        out.gauge("process_resident_memory_bytes", help, bytes);
    }
    if let Some(seconds) = cpu_seconds() {
        let help = "CPU time that the process used, in user and kernel mode.";
        out.counter("process_cpu_seconds_total", help, seconds);
    }
    if let Some(count) = open_fds() {
        out.gauge("process_open_fds", "File descriptors in use.", count);
    }
    if let Some(count) = max_fds() {
        let help = "File descriptors that the process may use.";
        out.gauge("process_max_fds", help, count);
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in the second field may hold blanks and brackets; what follows it does not.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS)
}

fn open_fds() -> Option<u64> {
    let folder = "/proc/self/fd";
    // Newer kernels say how many there are; older ones have them counted.
    match fs::metadata(folder).ok()?.len() {
        0 => Some(fs::read_dir(folder).ok()?.count() as u64),
        count => Some(count),
    }
}

fn max_fds() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

//! Where it is measured.

use std::fs;

/// One line: processor, cores, memory, kernel.
pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line
            .unwrap_or_default()
            .trim_start_matches([' ', '\t', ':']);
        value.trim().to_owned()
    };
    let cpu = field(&read("/proc/cpuinfo"), "model name");
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let cores = read("/proc/cpuinfo").matches("processor\t").count();
    let kernel = kernel
        .trim()
        .split('-')
        .next()
        .unwrap_or_default()
        .to_owned();
    format!(
        "{cpu}, {cores} cores, {:.0} GiB, Linux {kernel}",
        kib / 1024.0 / 1024.0
    )
}

/// The first two cores that this process may use.
pub fn two_cores() -> Option<[usize; 2]> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let list = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut cores = list.trim().split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let ends = first.parse().ok().zip(last.parse().ok());
        ends.into_iter()
            .flat_map(|(first, last): (usize, usize)| first..=last)
    });
    Some([cores.next()?, cores.next()?])
}

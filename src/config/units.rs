//! How durations and sizes are written: `100ms`, `10s`, `2m`, `1h`; plain bytes or `64KiB`, `1MiB`, `1GiB`.
//!
//! Uses: nothing.

use std::time::Duration;

const DURATIONS: &[(&str, u64)] = &[("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("", 1),
];

/// Reads a duration; a bare number is refused because its unit would be a guess, except 0.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    parse(text, DURATIONS)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is not a duration such as 100ms, 10s, 2m or 1h"))
}

/// Reads a number of bytes.
pub(super) fn parse_size(text: &str) -> Result<usize, String> {
    parse(text, SIZES)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| format!("{text:?} is not a size such as 65536, 64KiB, 1MiB or 1GiB"))
}

/// Writes a duration in the largest unit that leaves no rest.
pub(super) fn format_duration(duration: Duration) -> String {
    format(
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        DURATIONS,
    )
}

/// Writes a size in the largest unit that leaves no rest.
pub(super) fn format_size(bytes: usize) -> String {
    format(bytes as u64, SIZES)
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let (_, factor) = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn format(value: u64, units: &[(&str, u64)]) -> String {
    units
        .iter()
        .find(|(_, factor)| value != 0 && value.is_multiple_of(*factor))
        .map_or_else(
            || "0".to_owned(),
            |(unit, factor)| format!("{}{unit}", value / factor),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis) in [
            ("0", 0),
            ("100ms", 100),
            ("1500ms", 1500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)));
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(parse_duration("300s"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("10 s"), Ok(Duration::from_secs(10)));
        for text in ["", "10", "s", "-1s", "1.5s", "1d", "99999999999999999999s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("64KiB", 65_536),
            ("1MiB", 1 << 20),
            ("3GiB", 3 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes));
            assert_eq!(format_size(bytes), text);
        }
        assert_eq!(parse_size("65536"), Ok(65_536));
        assert_eq!(parse_size("64kib"), Ok(65_536));
        for text in ["", "KiB", "64KB", "64k", "-1", "1.5MiB", "99999999999GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}

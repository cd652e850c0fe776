//! Moments as RFC 3339 writes them, in UTC and to the millisecond.

/// The last millisecond of the year 9999, the last that has four digits.
const LAST_MS: i64 = 253_402_300_799_999;
const DAY_MS: i64 = 86_400_000;

/// A moment in milliseconds since 1970, such as `2026-03-01T10:00:00.000Z`. What lies outside the years
/// 1970 to 9999 is moved to their ends.
#[must_use]
pub fn moment(at_ms: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "cut to what fits")]
    let ms = (at_ms.round() as i64).clamp(0, LAST_MS);
    let (days, ms) = (ms / DAY_MS, ms % DAY_MS);
    let (year, month, day) = date(days);
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z",
        ms % 1000
    )
}

/// What [`moment`] wrote, in milliseconds since 1970; fewer or no digits of the second's fraction are
/// as good.
pub(super) fn parse(text: &str) -> Option<f64> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let (date, time) = whole.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [h, m, s] = numbers(time, ':', [2, 2, 2])?;
    let in_order = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && h < 24
        && m < 60
        && s < 60
        && (1..=9).contains(&fraction.len());
    if !in_order {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    let mut ms = 0;
    for digit in digits.chain(fraction.bytes().skip(3)).enumerate() {
        if !digit.1.is_ascii_digit() {
            return None;
        }
        if digit.0 < 3 {
            ms = ms * 10 + i64::from(digit.1 - b'0');
        }
    }
    let at = days(year, month, day) * DAY_MS + h * 3_600_000 + m * 60_000 + s * 1000 + ms;
    #[expect(clippy::cast_precision_loss, reason = "dates fit by far")]
    let at = at as f64;
    Some(at)
}

fn numbers(text: &str, between: char, lengths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(between);
    let mut out = [0; 3];
    for (number, length) in out.iter_mut().zip(lengths) {
        let part = parts.next().filter(|part| part.len() == length)?;
        if !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

/// Days since 1970 of a date of the Gregorian calendar. Years begin in March here, so that the odd day
/// comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a day since 1970: year, month, day.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_come_back() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_790_000_000_123, "2026-09-21T14:13:20.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (LAST_MS, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(moment(ms as f64), text);
            assert_eq!(parse(text), Some(ms as f64));
        }
        for day in 0..40_000 {
            let (year, month, date) = date(day);
            assert_eq!(days(year, month, date), day);
        }
        assert_eq!(moment(-5.0), moment(0.0));
        assert_eq!(moment(f64::INFINITY), moment(LAST_MS as f64));
    }

    #[test]
    fn fractions_may_be_shorter_or_longer() {
        for text in ["1970-01-01T00:00:01Z", "1970-01-01T00:00:01.0Z"] {
            assert_eq!(parse(text), Some(1000.0), "{text}");
        }
        assert_eq!(parse("1970-01-01T00:00:01.5Z"), Some(1500.0));
        assert_eq!(parse("1970-01-01T00:00:01.123456Z"), Some(1123.0));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "Z",
            "now",
            "1970-01-01T00:00:00.000",
            "1970-01-01 00:00:00.000Z",
            "1970-13-01T00:00:00.000Z",
            "1970-00-01T00:00:00.000Z",
            "1970-01-01T24:00:00.000Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.12345x78Z",
            "1970-01-01T00:00:00.1234567890Z",
            "1969-12-31T23:59:59.999Z",
            "+970-01-01T00:00:00.000Z",
            "1970-01-01T00:00:00:00Z",
            "1970-01-01T00:00:é0Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

//! Turns what came over the wire into text that cannot fool its reader.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Characters of a frame that are shown before the rest is cut; copying always takes all.
pub const SHOWN_CHARS: usize = 4_000;

/// A frame's text as it may be shown: control characters and those that reorder or hide text
/// stand as JSON escapes, and a very long text is cut.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    visible_to(text, SHOWN_CHARS)
}

/// As [`visible`], cut after so many characters.
#[must_use]
pub fn visible_to(text: &str, most: usize) -> Cow<'_, str> {
    let cut = text
        .char_indices()
        .nth(most)
        .map_or(text.len(), |(at, _)| at);
    let (shown, rest) = text.split_at(cut);
    if rest.is_empty() && !shown.chars().any(deceives) {
        return Cow::Borrowed(text);
    }
    let mut out = escaped(shown);
    if !rest.is_empty() {
        let _ = write!(out, " … {} more bytes", rest.len());
    }
    Cow::Owned(out)
}

/// A text with JSON escapes in the place of what could fool its reader.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    for c in text.chars() {
        if deceives(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters, bidirectional controls, line separators and invisible marks. Joiners stay:
/// emoji and several scripts need them.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What the gateway said when it refused an HTTP request: the message in `404: {"error":...}`, or the
/// text as it is.
#[must_use]
pub fn refusal(answer: &str) -> String {
    let body = answer.split_once(": ").map_or("", |(_, body)| body);
    let body = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
    body["error"]["message"]
        .as_str()
        .unwrap_or(answer)
        .to_owned()
}

/// The time of day of a moment in milliseconds since 1970, shifted by minutes east of UTC.
#[must_use]
pub fn clock(at_ms: f64, east_minutes: i32) -> String {
    const DAY: i64 = 86_400_000;
    #[expect(clippy::cast_possible_truncation, reason = "dates fit by far")]
    let ms = (at_ms as i64 + i64::from(east_minutes) * 60_000).rem_euclid(DAY);
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{h:02}:{m:02}:{s:02}.{:03}", ms % 1000)
}

/// A span in milliseconds, short: `0.4 ms`, `12 ms`, `3.2 s`.
#[must_use]
pub fn span(ms: f64) -> String {
    let tenth = |value: f64| (value * 10.0).round() / 10.0;
    if ms < 10.0 {
        format!("{} ms", tenth(ms.max(0.0)))
    } else if ms < 1000.0 {
        format!("{} ms", ms.round())
    } else {
        format!("{} s", tenth(ms / 1000.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_text_is_not_copied() {
        assert!(matches!(visible("übung 👩‍🚀 {}"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_reorders_or_hides_is_escaped() {
        assert_eq!(visible("a\u{202e}b\u{7}c\n"), r"a\u202eb\u0007c\u000a");
        assert_eq!(visible("\u{2066}\u{200b}\u{feff}"), r"\u2066\u200b\ufeff");
    }

    #[test]
    fn markup_stays_as_it_is() {
        assert_eq!(visible("<img src=x>"), "<img src=x>");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let shown = visible(&"ü".repeat(SHOWN_CHARS + 3)).into_owned();
        assert!(shown.ends_with(" … 6 more bytes"), "{shown}");
    }

    #[test]
    fn a_refusal_is_its_message() {
        let answer = r#"404: {"error":{"code":"BAD_REQUEST","message":"it is off"}}"#;
        assert_eq!(refusal(answer), "it is off");
        for other in ["502: <html>", "the gateway cannot be reached", ""] {
            assert_eq!(refusal(other), other);
        }
    }

    #[test]
    fn times_and_spans() {
        assert_eq!(clock(0.0, 0), "00:00:00.000");
        assert_eq!(clock(1_790_000_000_123.9, 120), "16:13:20.123");
        assert_eq!(clock(0.0, -60), "23:00:00.000");
        assert_eq!(span(0.42), "0.4 ms");
        assert_eq!(span(12.4), "12 ms");
        assert_eq!(span(3210.0), "3.2 s");
    }
}

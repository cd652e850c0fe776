//! Texts as words and literals of other languages.

/// A word of a POSIX shell. No such word can hold a zero byte.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}

/// A literal of JavaScript and of Python. Characters outside of ASCII that end lines or turn the
/// reading direction are escaped, so that what is pasted is what is seen.
pub(super) fn script(text: &str) -> String {
    let json = serde_json::to_string(text).unwrap_or_default();
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// A literal of Rust.
pub(super) fn rust(text: &str) -> String {
    let escaped = format!("{text:?}");
    // The compiler refuses characters that turn the reading direction where they are not escaped.
    let needs_escapes = text.chars().any(char::is_control) || escaped.contains("\\u{");
    if needs_escapes || text.contains("\"#") {
        return escaped;
    }
    format!("r#\"{text}\"#")
}

/// A segment of a URL's path: everything but RFC 3986's unreserved characters is escaped.
pub(in super::super) fn path_segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Reads what [`path_segment`] wrote; `None` when it is not text.
pub(in super::super) fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [a, b, after @ ..]) => {
                let digit = |c: &u8| char::from(*c).to_digit(16);
                out.push(u8::try_from(digit(a)? * 16 + digit(b)?).ok()?);
                rest = after;
            }
            (b'%', _) => return None,
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(*byte),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    pub(in super::super) const NASTY: [&str; 8] = [
        "plain",
        r#"it's "quoted" \ and $(touch x) `y` ${z}"#,
        "two\nlines\ttab\r",
        "'; rm -rf / #",
        "ü 👩‍🚀 \u{202e}\u{2028}",
        r##"raw "# string "##,
        "</script><!--",
        "%41+%zz\u{7f}\u{1b}[0m",
    ];

    pub(in super::super) fn said_by(program: &str, arguments: &[&str]) -> String {
        let out = Command::new(program).args(arguments).output().unwrap();
        assert!(out.status.success(), "{arguments:?}");
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn a_shell_says_back_what_it_was_given() {
        for text in NASTY {
            let line = format!("printf %s {}", shell(text));
            assert_eq!(said_by("sh", &["-c", &line]), text);
        }
    }

    #[test]
    fn javascript_says_back_what_it_was_given() {
        for text in NASTY {
            let line = format!("process.stdout.write({})", script(text));
            assert_eq!(said_by("node", &["-e", &line]), text);
            assert!(script(text).is_ascii() || !script(text).contains('\u{202e}'));
        }
    }

    #[test]
    fn python_says_back_what_it_was_given() {
        for text in NASTY {
            let out = "__import__('sys').stdout.buffer.write";
            let line = format!("{out}({}.encode())", script(text));
            assert_eq!(said_by("python3", &["-c", &line]), text);
        }
    }

    #[test]
    fn rust_takes_the_simplest_literal_that_holds() {
        assert_eq!(rust(r#"{"a":1}"#), r###"r#"{"a":1}"#"###);
        assert_eq!(rust("a\nb"), r#""a\nb""#);
        assert_eq!(rust("a\u{202e}b"), r#""a\u{202e}b""#);
        assert_eq!(rust("a\"#b"), r##""a\"#b""##);
    }

    proptest! {
        #[test]
        fn segments_come_back(text in "\\PC{0,20}|[%+ /?#&='\"]{0,8}") {
            let written = path_segment(&text);
            prop_assert!(written.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            prop_assert_eq!(unescaped(&written), Some(text));
        }
    }

    #[test]
    fn half_an_escape_is_nothing() {
        for text in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(unescaped(text), None, "{text}");
        }
    }
}

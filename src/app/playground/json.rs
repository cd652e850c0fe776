//! A frame's JSON as a tree of pieces of its text. Nothing is rewritten: keys keep their order and numbers
//! every digit.

use serde_json::value::RawValue;

/// Levels that unfold; what lies deeper is one piece.
const MAX_DEPTH: usize = 32;
/// Pieces in all; what comes after them is one piece.
const MAX_NODES: usize = 1_000;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string, with its quotes.
    String,
    /// A number.
    Number,
    /// `true`, `false` or `null`.
    Word,
    /// An object or array that does not unfold, or the rest of one.
    Rest,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// One that does not unfold.
    Leaf(Kind, &'a str),
    /// The values of an object with their keys, as they stand in the text.
    Object(Vec<(&'a str, Value<'a>)>),
    /// The values of an array.
    Array(Vec<Value<'a>>),
}

/// The tree of a text; `None` when it is not JSON.
#[must_use]
pub fn tree(text: &str) -> Option<Value<'_>> {
    // The scan below may rely on it.
    let text = serde_json::from_str::<&RawValue>(text).ok()?.get();
    let mut scan = Scan {
        text,
        at: 0,
        left: MAX_NODES,
    };
    Some(scan.value(0))
}

/// Walks through valid JSON.
struct Scan<'a> {
    text: &'a str,
    at: usize,
    left: usize,
}

impl<'a> Scan<'a> {
    fn value(&mut self, depth: usize) -> Value<'a> {
        self.left = self.left.saturating_sub(1);
        let folded = depth >= MAX_DEPTH || self.left == 0;
        match self.peek() {
            b'"' => Value::Leaf(Kind::String, self.string()),
            b'{' | b'[' if folded => {
                let from = self.at;
                self.at += 1;
                self.skip_to_end();
                Value::Leaf(Kind::Rest, self.since(from))
            }
            b'{' => Value::Object(self.items(
                |scan| {
                    let key = match scan.peek() {
                        b'"' => scan.string(),
                        _ => "",
                    };
                    scan.peek();
                    // The colon.
                    scan.at += 1;
                    (key, scan.value(depth + 1))
                },
                |rest| ("", rest),
            )),
            b'[' => Value::Array(self.items(|scan| scan.value(depth + 1), |rest| rest)),
            b't' | b'f' | b'n' => Value::Leaf(Kind::Word, self.scalar()),
            _ => Value::Leaf(Kind::Number, self.scalar()),
        }
    }

    /// What stands between brackets. Where the pieces run out, the rest is one.
    fn items<T>(&mut self, item: impl Fn(&mut Self) -> T, rest: impl Fn(Value<'a>) -> T) -> Vec<T> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            match self.peek() {
                b',' => self.at += 1,
                b'}' | b']' | 0 => {
                    self.at += 1;
                    return items;
                }
                _ if self.left == 0 => {
                    let from = self.at;
                    self.skip_to_end();
                    let text = self.since(from);
                    let text = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
                    items.push(rest(Value::Leaf(Kind::Rest, text)));
                    return items;
                }
                _ => items.push(item(self)),
            }
        }
    }

    /// The next byte that is no space; 0 at the end.
    fn peek(&mut self) -> u8 {
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            if !byte.is_ascii_whitespace() {
                return *byte;
            }
            self.at += 1;
        }
        0
    }

    fn since(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    fn string(&mut self) -> &'a str {
        let from = self.at;
        self.at += 1;
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            self.at += if *byte == b'\\' { 2 } else { 1 };
            if *byte == b'"' {
                break;
            }
        }
        self.since(from)
    }

    fn scalar(&mut self) -> &'a str {
        let from = self.at;
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            if byte.is_ascii_whitespace() || b",]}".contains(byte) {
                break;
            }
            self.at += 1;
        }
        self.since(from)
    }

    /// Goes behind the bracket that closes the one this is in.
    fn skip_to_end(&mut self) {
        let mut open = 1_usize;
        while open > 0 {
            match self.peek() {
                0 => return,
                b'"' => {
                    self.string();
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree written out again.
    fn written(value: &Value<'_>) -> String {
        match value {
            Value::Leaf(_, text) => (*text).to_owned(),
            Value::Object(all) => {
                let all: Vec<_> = all
                    .iter()
                    .map(|(key, value)| {
                        let colon = if key.is_empty() { "" } else { ":" };
                        format!("{key}{colon}{}", written(value))
                    })
                    .collect();
                format!("{{{}}}", all.join(","))
            }
            Value::Array(all) => {
                let all: Vec<_> = all.iter().map(written).collect();
                format!("[{}]", all.join(","))
            }
        }
    }

    #[test]
    fn every_piece_is_as_it_stands_in_the_text() {
        for text in [
            r#"{"z":1.50,"a":[true,null,"x\"y\\",{}],"n":123456789012345678901234567890,"e":-1E+2}"#,
            r#""one""#,
            "[[],[[]]]",
            "0",
            r#"{"":{"}":"]"}}"#,
            r#"{"ü\u202e":"日本"}"#,
        ] {
            assert_eq!(written(&tree(text).unwrap()), text);
        }
        let spaced = tree(" { \"a\" :\n[ 1 ,\t2 ] } ").unwrap();
        assert_eq!(written(&spaced), r#"{"a":[1,2]}"#);
    }

    #[test]
    fn kinds_are_told_apart() {
        let Some(Value::Array(all)) = tree(r#"["a",-1,false]"#) else {
            panic!("not an array");
        };
        let leaf = |kind, text| Value::Leaf(kind, text);
        let expected = [
            leaf(Kind::String, r#""a""#),
            leaf(Kind::Number, "-1"),
            leaf(Kind::Word, "false"),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn what_is_not_json_has_no_tree() {
        for text in [
            "",
            "{",
            "The WebSocket is open.",
            "{\"a\":}",
            "1 2",
            "\u{feff}{}",
        ] {
            assert_eq!(tree(text), None, "{text}");
        }
    }

    #[test]
    fn deep_and_wide_texts_end_in_one_piece() {
        let deep = format!("{}\"]\"{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(written(&tree(&deep).unwrap()), deep);
        let wide = format!("[{}9]", "{\"a\":[8]},".repeat(MAX_NODES));
        let Some(Value::Array(all)) = tree(&wide) else {
            panic!("not an array");
        };
        assert!(all.len() <= MAX_NODES);
        assert!(matches!(all.last(), Some(Value::Leaf(Kind::Rest, rest)) if rest.ends_with(",9")));
        assert_eq!(written(&Value::Array(all)), wide);
    }
}

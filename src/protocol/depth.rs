//! How deep JSON may nest. The gateway itself reads a payload without recursion; those who receive it
//! may not, and many stop at 128 levels, of which a frame or an answer of the API takes up to three.

use super::{ErrorCode, Refusal};

/// Levels of arrays and objects that a payload may have.
pub const MAX_DEPTH: usize = 120;

/// Checks a payload, which is known to be JSON.
///
/// # Errors
/// `BAD_REQUEST` when it nests deeper than [`MAX_DEPTH`].
pub fn check_depth(payload: &str) -> Result<(), Refusal> {
    if is_too_deep(payload) {
        let text = format!("payload has at most {MAX_DEPTH} levels of arrays and objects");
        return Err(Refusal::new(ErrorCode::BadRequest, text));
    }
    Ok(())
}

fn is_too_deep(json: &str) -> bool {
    // Every level has two brackets, and nearly every payload has not that many of them in all. Only
    // where it has is it looked at which of them stand in strings.
    json.len() > 2 * MAX_DEPTH && opening(json) > MAX_DEPTH && depth(json) > MAX_DEPTH
}

/// How many brackets open, those in strings as well. A plain count, which the compiler makes wide.
fn opening(json: &str) -> usize {
    // The two brackets differ in one bit.
    let opens = |byte: &&u8| **byte | 0x20 == b'{';
    json.as_bytes().iter().filter(opens).count()
}

fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_count_and_brackets_in_strings_do_not() {
        let arrays = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let objects = |levels: usize| r#"{"a":"#.repeat(levels) + "1" + &"}".repeat(levels);
        for (json, deep) in [
            (arrays(MAX_DEPTH), false),
            (arrays(MAX_DEPTH + 1), true),
            (objects(MAX_DEPTH), false),
            (objects(MAX_DEPTH + 1), true),
            (format!(r#"[{}1,"\"[",[]]"#, "[],".repeat(1000)), false),
            (format!(r#"["{}"]"#, r#"[\"{\\"#.repeat(1000)), false),
            (format!(r#"["\\",{}]"#, arrays(MAX_DEPTH)), true),
            (format!(r#"["\"",{}]"#, arrays(MAX_DEPTH - 1)), false),
            (arrays(50_000), true),
        ] {
            assert!(serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok());
            assert_eq!(is_too_deep(&json), deep, "{json:.60}");
        }
    }
}

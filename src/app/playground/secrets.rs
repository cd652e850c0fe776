//! What others must not see, kept out of every text that leaves the page: programs, links, named
//! messages and session files.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::protocol::{ClientMessage, decode_client, encode_client};

/// What stands where a token was.
pub const YOUR_TOKEN: &str = "YOUR_TOKEN";
/// A longer token is no user's name.
const LONGEST_NAME: usize = 32;

/// Whether a text is a token that others must not see, and not just the name of a demo user.
#[must_use]
pub fn is_secret(token: &str) -> bool {
    token.len() > LONGEST_NAME || token.matches('.').count() == 2
}

/// Fields of a frame that open a session.
const OPENING: [&str; 2] = ["token", "sessionid"];

/// How secret tokens stand in texts: as they are, and as JSON writes them. The longest come first: a token
/// may be the beginning of another.
#[must_use]
pub fn forms<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let secret = tokens.into_iter().map(str::trim).filter(|t| is_secret(t));
    let in_json = |token| {
        let quoted = json(token);
        let inner = quoted.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        inner.unwrap_or_default().to_owned()
    };
    let mut forms: Vec<_> = secret
        .flat_map(|token| [token.to_owned(), in_json(token)])
        .collect();
    forms.sort_unstable_by(|a, b| (Reverse(a.len()), a).cmp(&(Reverse(b.len()), b)));
    forms.dedup();
    forms
}

/// A text with secret tokens, in these [`forms`], replaced.
#[must_use]
pub fn without<'a>(text: impl Into<Cow<'a, str>>, forms: &[String]) -> Cow<'a, str> {
    let mut text = text.into();
    for form in forms {
        if text.contains(form.as_str()) {
            text = text.replace(form.as_str(), YOUR_TOKEN).into();
        }
    }
    text
}

/// The text of a frame that is sent, with the tokens that are to be hidden replaced. `None` where a text
/// speaks of a token and is no frame: nobody can tell where it stands.
#[must_use]
pub fn without_tokens(text: &str, hide: impl Fn(&str) -> bool) -> Option<Cow<'_, str>> {
    let speaks_of_it = || text.to_ascii_lowercase().contains("token");
    let Ok(mut frame) = decode_client(text) else {
        return (!speaks_of_it()).then(|| text.into());
    };
    let token = match &mut frame {
        ClientMessage::Setup(f) => Some(&mut f.token),
        ClientMessage::Resume(f) => Some(&mut f.token),
        ClientMessage::Refresh(f) => Some(&mut f.token),
        _ if speaks_of_it() => None,
        _ => return Some(text.into()),
    };
    if let Some(token) = token.filter(|token| hide(token)) {
        *token = YOUR_TOKEN.into();
    }
    // A field that the frame does not have is not written either.
    Some(encode_client(&frame).into())
}

/// The text of a frame without the fields that open a session, and without a secret token of theirs
/// elsewhere in it. The rest is as it was. `None` where a text speaks of such a field and is no JSON object:
/// nobody can tell where it stands.
#[must_use]
pub fn without_opening(text: &str) -> Option<Cow<'_, str>> {
    let Ok(Fields(fields)) = serde_json::from_str(text) else {
        let lower = text.to_ascii_lowercase();
        let speaks_of_it = OPENING.iter().any(|name| lower.contains(name));
        return (!speaks_of_it).then(|| text.into());
    };
    let opens = |(name, _): &(String, &RawValue)| OPENING.contains(&&*name.to_ascii_lowercase());
    let (opening, others): (Vec<_>, Vec<_>) = fields.into_iter().partition(opens);
    if opening.is_empty() {
        return Some(text.into());
    }
    let values: Vec<String> = opening
        .iter()
        .filter_map(|(_, value)| serde_json::from_str(value.get()).ok())
        .collect();
    let others: Vec<_> = others
        .iter()
        .map(|(name, value)| format!("{}:{}", json(name), value.get()))
        .collect();
    let rest = format!("{{{}}}", others.join(","));
    Some(without(rest, &forms(values.iter().map(String::as_str))))
}

/// An address without its query, its fragment and whom it names, where secrets may stand.
#[must_use]
pub fn without_query(url: &str) -> &str {
    let url = url.split(['?', '#']).next().unwrap_or_default().trim();
    if url.contains('@') { "" } else { url }
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The fields of a JSON object in their order.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = r#"a token that is longer than a name, "quoted""#;

    #[test]
    fn a_token_is_found_in_json_too_and_the_longest_first() {
        let longer = format!("{SECRET}, and longer");
        let hidden = forms([SECRET, "demo-user", &longer, SECRET, ""]);
        assert_eq!(hidden.len(), 4);
        for (text, expected) in [
            (longer.clone(), "YOUR_TOKEN".to_owned()),
            (json(SECRET), r#""YOUR_TOKEN""#.to_owned()),
            (format!("{SECRET} {longer}"), "YOUR_TOKEN YOUR_TOKEN".into()),
            ("demo-user".into(), "demo-user".into()),
        ] {
            assert_eq!(without(text, &hidden), expected);
        }
    }

    #[test]
    fn what_opens_a_session_is_left_out_and_the_rest_stays() {
        for (text, expected) in [
            (
                r#"{"type":"setup","token":"demo-user","topics":[1.50, 2]}"#,
                Some(r#"{"type":"setup","topics":[1.50, 2]}"#),
            ),
            (
                r#"{"type":"resume","\u0074oken":"x","SessionID":"y","Token":"z"}"#,
                Some(r#"{"type":"resume"}"#),
            ),
            (
                r#"{"token":"a.b.c","sig":"a.b.c","payload":{"of":"a.b.c"}}"#,
                Some(r#"{"sig":"YOUR_TOKEN","payload":{"of":"YOUR_TOKEN"}}"#),
            ),
            (
                r#"{ "payload": {"tokens": 3, "token": null} }"#,
                Some(r#"{ "payload": {"tokens": 3, "token": null} }"#),
            ),
            ("{ bad", Some("{ bad")),
            (r#"{"token":"x""#, None),
            (r#"[{"sessionId":"x"}]"#, None),
        ] {
            assert_eq!(without_opening(text).as_deref(), expected, "{text}");
        }
    }
}

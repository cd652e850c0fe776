//! What was composed, kept for later: as the last choices, under a name, or as a link. Never a token
//! and never a session's id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::draft::{Draft, LABELS};
use super::secrets::{forms, without, without_opening, without_query};
use super::takeaway::quoting::{path_segment, unescaped};

/// Fields that are nobody else's business, or mean nothing later.
const NOT_KEPT: [&str; 5] = [
    "token",
    "sessionId",
    "messageId",
    "lastSeqPerTopic",
    "epochs",
];
/// Said where something is missing of what was edited by hand, or of a field.
const NO_SECRET: &str = "The token or session ID in it is left out.";
/// Said where what was edited by hand is missing.
const NO_TEXT: &str =
    "The text edited by hand is left out: it speaks of a token or a session and is no JSON object.";
/// More bytes are not kept.
const MAX_BYTES: usize = 64 * 1024;
/// A longer link is not made and not read: programs cut them.
const MAX_LINK_BYTES: usize = 8 * 1024;
/// Messages under a name.
const MAX_MESSAGES: usize = 100;
/// Characters of a name.
const MAX_NAME: usize = 60;

/// A frame, by its fields or as it was edited by hand, and where it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    url: String,
    kind: String,
    fields: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_hand: Option<String>,
}

impl Kept {
    /// Takes what is worth keeping. Returns also what is missing of it that is not in [`NOT_KEPT`], in
    /// words.
    #[must_use]
    pub fn of(url: &str, draft: &Draft, edited: Option<&str>) -> (Self, Option<&'static str>) {
        let hidden = forms([draft.get("token")]);
        let public = |text: &str| without(text, &hidden).into_owned();
        let kept = Self {
            url: public(without_query(url)),
            kind: draft.kind().name.to_owned(),
            fields: draft
                .fields()
                .filter(|(name, _)| !NOT_KEPT.contains(name))
                .map(|(name, value)| (name.to_owned(), public(value)))
                .collect(),
            by_hand: edited
                .and_then(without_opening)
                .map(|text| without(text, &hidden).into_owned()),
        };
        let of_frame = draft.kind().fields.iter();
        let as_it_was = of_frame
            .filter_map(|field| Some((field.name, kept.fields.get(field.name)?)))
            .all(|(name, value)| draft.get(name) == value);
        let left_out = match (edited, kept.by_hand.as_deref()) {
            (Some(_), None) => Some(NO_TEXT),
            (text, by_hand) if text == by_hand && as_it_was => None,
            _ => Some(NO_SECRET),
        };
        (kept, left_out)
    }

    /// As text; `None` when it is too long to keep.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        within_bytes(self)
    }

    /// From text; `None` when it is not what [`Kept::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As the fragment of the page's address, without `#`: the fields of this frame alone. An address
    /// of this gateway, which begins with `home`, is written without it, so that the link fits
    /// whatever host the page is on. `None` when it is too long for a link.
    #[must_use]
    pub fn to_fragment(&self, home: &str) -> Option<String> {
        let mut draft = Draft::default();
        draft.choose(&self.kind);
        let url = self.url.strip_prefix(home).unwrap_or(&self.url);
        let of_frame = |name: &str| draft.kind().fields.iter().any(|f| f.name == name);
        let fields = self
            .fields
            .iter()
            .filter(|(name, value)| of_frame(name) && !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let by_hand = self.by_hand.as_deref().map(|text| ("frame", text));
        let pairs: Vec<_> = [("message", self.kind.as_str()), ("url", url)]
            .into_iter()
            .chain(fields)
            .chain(by_hand)
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", path_segment(value)))
            .collect();
        let fragment = pairs.join("&");
        (fragment.len() <= MAX_LINK_BYTES).then_some(fragment)
    }

    /// From a fragment with or without its `#`. What it does not know it leaves out; `None` when it
    /// names no message.
    #[must_use]
    pub fn from_fragment(fragment: &str) -> Option<Self> {
        let fragment = fragment.strip_prefix('#').unwrap_or(fragment);
        if fragment.len() > MAX_LINK_BYTES {
            return None;
        }
        let mut kept = Self::default();
        for pair in fragment.split('&') {
            let (name, value) = pair.split_once('=')?;
            let value = unescaped(value)?;
            match name {
                "message" => kept.kind = value,
                "url" => without_query(&value).clone_into(&mut kept.url),
                "frame" => kept.by_hand = Some(value),
                name if !NOT_KEPT.contains(&name) => {
                    kept.fields.insert(name.to_owned(), value);
                }
                _ => {}
            }
        }
        (!kept.kind.is_empty()).then_some(kept)
    }

    /// Fills a draft. Returns the URL, if there is one, and the text that was edited by hand.
    pub fn restore(self, draft: &mut Draft) -> (Option<String>, Option<String>) {
        draft.choose(&self.kind);
        for (name, value) in self.fields {
            if let Some((name, _)) = LABELS.iter().find(|(known, _)| *known == name) {
                draft.set(name, value);
            }
        }
        let url = (!self.url.is_empty()).then_some(self.url);
        (url, self.by_hand)
    }
}

/// Messages under names, newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Library {
    messages: Vec<(String, Kept)>,
}

impl Library {
    /// As text; `None` when it is too long to keep.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        within_bytes(self)
    }

    /// From text; `None` when it is not what [`Library::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The names, newest last.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.messages.iter().map(|(name, _)| name.as_str())
    }

    /// The message of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Kept> {
        self.messages
            .iter()
            .find_map(|(known, kept)| (known == name).then_some(kept))
    }

    /// Keeps a message under a name, in the place of the one that had it.
    ///
    /// # Errors
    /// In words: no name, a long one, or no room.
    pub fn put(&mut self, name: &str, kept: Kept) -> Result<(), String> {
        let name = name.trim();
        if name.is_empty() {
            return Err("Give it a name first.".into());
        }
        if name.chars().count() > MAX_NAME {
            return Err(format!("The name is longer than {MAX_NAME} characters."));
        }
        let mut next = self.clone();
        next.remove(name);
        next.messages.push((name.to_owned(), kept));
        if next.messages.len() > MAX_MESSAGES {
            return Err(format!(
                "There are {MAX_MESSAGES} messages already: delete one first."
            ));
        }
        if next.to_text().is_none() {
            return Err(format!(
                "All messages together would be longer than {} KiB: delete one first.",
                MAX_BYTES / 1024
            ));
        }
        *self = next;
        Ok(())
    }

    /// Forgets the message of this name.
    pub fn remove(&mut self, name: &str) {
        self.messages.retain(|(known, _)| known != name);
    }
}

fn within_bytes(value: &impl Serialize) -> Option<String> {
    let text = serde_json::to_string(value).ok()?;
    (text.len() <= MAX_BYTES).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        let mut draft = Draft::default();
        draft.choose("publish");
        draft.set("topic", "orders & more=ü");
        draft.set("token", "s3cret");
        draft.set("sessionId", "s3ssion");
        draft.set("payload", r##"{"a":"#1 100%"}"##);
        draft
    }

    #[test]
    fn choices_come_back_and_secrets_do_not_go() {
        let (kept, left_out) = Kept::of("ws://h/ws?access_token=s3cret", &draft(), None);
        assert_eq!(left_out, None);
        let by_hand = |text| Kept::of("ws://s3:s3@h", &draft(), Some(text)).0;
        let by_hand = [r#"{"token":"s3cret"}"#, r#"{"Token":"s3cret"}"#].map(by_hand);
        let home = "ws://h";
        for kept in [&kept, &by_hand[0], &by_hand[1]] {
            let (text, link) = (kept.to_text().unwrap(), kept.to_fragment(home).unwrap());
            assert!(
                !text.contains("s3") && !link.contains("s3"),
                "{text} {link}"
            );
        }
        let back = [
            Kept::from_text(&kept.to_text().unwrap()).unwrap(),
            Kept::from_fragment(&kept.to_fragment("ws://other").unwrap()).unwrap(),
        ];
        for kept in back {
            let mut other = Draft::default();
            let (url, edited) = kept.restore(&mut other);
            assert_eq!((url.as_deref(), edited), (Some("ws://h/ws"), None));
            assert_eq!(other.kind().name, "publish");
            assert_eq!(other.get("topic"), "orders & more=ü");
            assert_eq!(other.get("payload"), r##"{"a":"#1 100%"}"##);
            assert_eq!(other.get("token"), "demo-user");
        }
    }

    #[test]
    fn the_token_goes_in_no_other_field_either() {
        const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";
        for field in ["topic", "payload", "sig"] {
            let mut draft = draft();
            draft.set("token", format!("{JWT} "));
            draft.set(field, format!("\"{JWT}\""));
            let by_hand = format!(r#"{{"type":"publish","payload":"{JWT}"}}"#);
            for edited in [None, Some(by_hand.as_str())] {
                let (kept, left_out) = Kept::of(&format!("ws://h/{JWT}"), &draft, edited);
                let (text, link) = (kept.to_text().unwrap(), kept.to_fragment("").unwrap());
                for text in [text, link] {
                    assert!(
                        !text.contains("eyJ") && text.contains("YOUR_TOKEN"),
                        "{text}"
                    );
                }
                assert_eq!(left_out, Some(NO_SECRET));
            }
        }
    }

    #[test]
    fn what_was_edited_by_hand_stays_but_for_what_opens_a_session() {
        let of = |text| {
            let (kept, left_out) = Kept::of("ws://h/ws", &draft(), Some(text));
            let by_hand = kept.restore(&mut Draft::default()).1;
            (by_hand.unwrap_or_default(), left_out)
        };
        for text in [
            r#"{"type":"publish","payload":{"tokens":3, "token":1}}"#,
            r#"{"type":"subscribe","topic":"tokens"}"#,
            "{ bad",
        ] {
            assert_eq!(of(text), (text.to_owned(), None));
        }
        let rest = r#"{"type":"setup","topics":["a"]}"#.to_owned();
        let setup = r#"{"type":"setup","token":"ann","topics":["a"]}"#;
        assert_eq!(of(setup), (rest, Some(NO_SECRET)));
        let torn = r#"{"type":"setup","token":"ann""#;
        assert_eq!(of(torn), (String::new(), Some(NO_TEXT)));
    }

    #[test]
    fn a_link_is_about_this_gateway_and_this_frame() {
        let (kept, _) = Kept::of("ws://h/ws", &draft(), Some("{ bad"));
        let link = kept.to_fragment("ws://h").unwrap();
        assert!(link.starts_with("message=publish&url=%2Fws&"), "{link}");
        assert!(!link.contains("topics"), "{link}");
        let (url, edited) = Kept::from_fragment(&format!("#{link}"))
            .unwrap()
            .restore(&mut Draft::default());
        assert_eq!(url.as_deref(), Some("/ws"));
        assert_eq!(edited.as_deref(), Some("{ bad"));
    }

    #[test]
    fn rubbish_is_not_restored() {
        assert_eq!(Kept::from_text("{"), None);
        for link in ["", "#log", "#message=%", "topic=x", "message"] {
            assert_eq!(Kept::from_fragment(link), None, "{link}");
        }
        let long = format!("message={}", "x".repeat(MAX_LINK_BYTES));
        assert_eq!(Kept::from_fragment(&long), None);
        let mut strange = Draft::default();
        let token = Kept::from_fragment("message=nonsense&token=x&colour=red&url=ws://a@b");
        let (url, _) = token.unwrap().restore(&mut strange);
        assert_eq!((strange, url), (Draft::default(), None));
        let mut draft = Draft::default();
        draft.choose("publish");
        draft.set("payload", "x".repeat(MAX_BYTES));
        let (kept, _) = Kept::of("ws://h/ws", &draft, None);
        assert_eq!((kept.to_text(), kept.to_fragment("")), (None, None));
    }

    #[test]
    fn a_name_is_one_message() {
        let mut library = Library::default();
        let (kept, _) = Kept::of("", &draft(), None);
        assert!(library.put("  ", kept.clone()).is_err());
        assert!(
            library
                .put(&"x".repeat(MAX_NAME + 1), kept.clone())
                .is_err()
        );
        for name in ["a", "b", " a "] {
            library.put(name, kept.clone()).unwrap();
        }
        assert_eq!(library.names().collect::<Vec<_>>(), ["b", "a"]);
        let library = Library::from_text(&library.to_text().unwrap()).unwrap();
        assert_eq!(library.get("a"), Some(&kept));
    }

    #[test]
    fn there_is_an_end_to_the_library() {
        let mut library = Library::default();
        let mut put = |name: usize, kept: &Kept| library.put(&name.to_string(), kept.clone());
        for name in 0..MAX_MESSAGES {
            put(name, &Kept::default()).unwrap();
        }
        assert!(
            put(MAX_MESSAGES, &Kept::default())
                .unwrap_err()
                .contains("delete one")
        );
        let mut long = Draft::default();
        long.set("payload", "x".repeat(MAX_BYTES));
        assert!(
            put(0, &Kept::of("", &long, None).0)
                .unwrap_err()
                .contains("KiB")
        );
        assert!(put(0, &Kept::default()).is_ok());
    }
}

//! What was composed, to take away as a program in another language. No such program holds a token
//! that could be worth something to somebody else.

mod languages;
pub(super) mod quoting;

use std::borrow::Cow;

use super::draft::Draft;
use super::secrets::{YOUR_TOKEN, forms, is_secret, without, without_query, without_tokens};
pub use languages::Language;

/// What was composed, ready to be written in any language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    ws_url: String,
    token: String,
    /// The frame that opens the session, unless the frame does so itself.
    setup: Option<String>,
    /// `None` when a token stands in it that nobody can find.
    frame: Option<String>,
}

impl Composed {
    /// The frame of a draft, or its text as it was edited by hand, for this address.
    #[must_use]
    pub fn new(ws_url: &str, draft: &Draft, edited: Option<&str>) -> Self {
        let token = draft.get("token");
        let hidden = forms([token]);
        let frame = match edited {
            None => Some(without(draft.frame(), &hidden).into_owned()),
            Some(text) => without_tokens(&without(text, &hidden), is_secret).map(Cow::into_owned),
        };
        let token = if is_secret(token) { YOUR_TOKEN } else { token }.to_owned();
        let opens = matches!(draft.kind().name, "setup" | "resume");
        let setup = || {
            let mut setup = Draft::default();
            setup.set("token", token.clone());
            setup.set("topics", first_topics(draft));
            without(setup.frame(), &hidden).into_owned()
        };
        Self {
            ws_url: without(without_query(ws_url), &hidden).into_owned(),
            setup: (!opens).then(setup),
            token,
            frame,
        }
    }

    /// As a program; an error says in words why it cannot be one.
    ///
    /// # Errors
    /// For curl, when HTTP has no counterpart of the frame; for all, when a token cannot be left out.
    pub fn written_in(&self, language: Language) -> Result<String, &'static str> {
        languages::write(self, language)
    }

    /// What it is offered in unless another is chosen: the first that can say it.
    #[must_use]
    pub fn language(&self) -> Language {
        match self.written_in(Language::Curl) {
            Ok(_) => Language::Curl,
            Err(_) => Language::JavaScript,
        }
    }

    fn frames(&self) -> impl Iterator<Item = &str> {
        let setup = self.setup.as_deref();
        setup.into_iter().chain(self.frame.as_deref())
    }

    /// `http://host` for `ws://host/path`.
    fn http_origin(&self) -> Option<String> {
        let (scheme, rest) = self.ws_url.split_once("://")?;
        let scheme = match scheme {
            "ws" => "http",
            "wss" => "https",
            _ => return None,
        };
        let host = rest.split('/').next().unwrap_or_default();
        Some(format!("{scheme}://{host}"))
    }
}

/// The topics that must be subscribed for the frame to make sense: to hear what is published, and
/// to have something to acknowledge or leave.
fn first_topics(draft: &Draft) -> &str {
    match draft.kind().name {
        "publish" | "ack" | "unsubscribe" => draft.get("topic"),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";

    #[test]
    fn no_secret_token_goes_along() {
        for kind in ["setup", "resume", "publish", "refresh"] {
            let mut draft = Draft::default();
            draft.choose(kind);
            draft.set("token", JWT);
            draft.set("messageId", "m-1");
            draft.set("topic", JWT);
            draft.set("sig", JWT);
            let by_hand = format!(r#"{{"type":"setup","token":"{JWT}"}}"#);
            for edited in [None, Some(by_hand.as_str())] {
                let url = format!("ws://h/ws?access_token={JWT}");
                let composed = Composed::new(&url, &draft, edited);
                for language in Language::ALL {
                    let text = composed.written_in(language).unwrap_or_default();
                    assert!(!text.contains("eyJ"), "{language:?}: {text}");
                    assert!(text.is_empty() || text.contains(YOUR_TOKEN), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_token_that_was_pasted_into_the_frame_does_not_go_along() {
        for (by_hand, is_written) in [
            (format!(r#"{{"type":"setup","token":"{JWT}"}}"#), true),
            (
                format!(r#"{{"type":"refresh","token":"demo-user","Token":"{JWT}"}}"#),
                true,
            ),
            (format!(r#"{{"type":"setup","Token":"{JWT}"}}"#), true),
            (format!(r#"{{"type":"setup","token":"{JWT}""#), false),
        ] {
            let composed = Composed::new("ws://h/ws", &Draft::default(), Some(&by_hand));
            for language in Language::ALL {
                let written = composed.written_in(language);
                let text = written.unwrap_or_else(ToOwned::to_owned);
                assert!(!text.contains("eyJ"), "{language:?}: {text}");
                let has_setup = text.contains("setup") || text.contains("refresh");
                assert_eq!(
                    has_setup,
                    is_written && language != Language::Curl,
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn a_session_is_opened_first_unless_the_frame_does_so() {
        let mut draft = Draft::default();
        assert_eq!(Composed::new("ws://h/ws", &draft, None).frames().count(), 1);
        draft.choose("publish");
        draft.set("messageId", "m-1");
        let composed = Composed::new("ws://h/ws", &draft, None);
        let frames: Vec<_> = composed.frames().collect();
        assert_eq!(
            frames[0],
            r#"{"type":"setup","token":"demo-user","topics":["prices"]}"#
        );
        assert!(frames[1].starts_with(r#"{"type":"publish""#));
    }

    #[test]
    fn what_http_does_not_have_is_offered_in_javascript() {
        let mut draft = Draft::default();
        let offered = |draft: &Draft| Composed::new("ws://h/ws", draft, None).language();
        assert_eq!(offered(&draft), Language::JavaScript);
        draft.choose("subscribe");
        draft.set("topic", "t");
        assert_eq!(offered(&draft), Language::Curl);
    }

    #[test]
    fn the_http_origin_follows_from_the_address() {
        let origin = |url| Composed::new(url, &Draft::default(), None).http_origin();
        assert_eq!(origin("ws://h:3000/ws").as_deref(), Some("http://h:3000"));
        assert_eq!(origin("wss://h/ws/sub/x").as_deref(), Some("https://h"));
        assert_eq!(origin("elsewhere"), None);
    }
}

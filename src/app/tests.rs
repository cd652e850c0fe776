//! The page as the server renders it: complete, and safe, without any script.

use leptos::prelude::*;

use crate::protocol::reference::{ENDPOINTS, FRAMES, SETTINGS};
use crate::protocol::{CloseCode, ErrorCode};

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn page() -> String {
    Owner::new().with(|| {
        let options = leptos::config::LeptosOptions::builder()
            .output_name("micro-socket")
            .build();
        // Leptos marks the borders of text nodes; a reader does not see them.
        super::shell(options).to_html().replace("<!>", "")
    })
}

#[test]
fn everything_of_the_catalogue_is_on_the_page() {
    let page = page();
    let has = |text: &str| assert!(page.contains(&escaped(text)), "{text} is missing");
    for endpoint in ENDPOINTS {
        has(endpoint.path);
        has(endpoint.summary);
    }
    for frame in FRAMES {
        has(frame.summary);
        has(frame.example);
        for field in frame.fields {
            has(field.meaning);
        }
    }
    for code in ErrorCode::ALL {
        has(code.as_str());
        has(code.cause());
        has(code.mend());
    }
    for close in CloseCode::ALL {
        has(close.meaning());
        has(close.reconnect().advice());
    }
    for setting in SETTINGS {
        has(&setting.environment());
        has(setting.meaning);
    }
}

#[test]
fn nothing_is_inline_that_a_strict_policy_refuses() {
    let page = page();
    for refused in [" style=\"", " onclick=", "javascript:", "<style"] {
        assert!(!page.contains(refused), "{refused}");
    }
}

#[test]
fn nothing_comes_from_another_host() {
    let page = page();
    for attribute in ["src=\"", "href=\""] {
        for (at, _) in page.match_indices(attribute) {
            let target = &page[at + attribute.len()..];
            assert!(target.starts_with(['/', '#']), "{}", &target[..40]);
            assert!(!target.starts_with("//"), "{}", &target[..40]);
        }
    }
}

#[test]
fn ids_are_unique() {
    let page = page();
    let mut ids: Vec<_> = page
        .match_indices(" id=\"")
        .filter_map(|(at, found)| page[at + found.len()..].split('"').next())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

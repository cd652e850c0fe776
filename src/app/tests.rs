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

/// The page's buttons, pressed without a browser.
mod buttons {
    use leptos::prelude::*;

    use crate::app::page::{Command, Page};
    use crate::app::playground::client::ClientId;
    use crate::app::playground::scenario::{Run, SCENARIOS};
    use crate::app::playground::{Event, Happened};

    const FIRST: ClientId = ClientId::FIRST;

    fn with_page(test: impl FnOnce(Page)) {
        Owner::new().with(|| test(Page::new()));
    }

    fn happened(event: Event) -> Happened {
        Happened {
            client: FIRST,
            at: 0.0,
            event,
        }
    }

    fn connected(page: Page) {
        page.connect(FIRST);
        page.playground.update(|p| p.apply(happened(Event::Opened)));
    }

    #[test]
    fn send_without_a_connection_says_so() {
        with_page(|page| {
            page.send(FIRST);
            assert!(
                page.desk_now()
                    .refusal
                    .get_untracked()
                    .contains("Press Connect first")
            );
        });
    }

    #[test]
    fn a_field_with_a_problem_is_not_sent_but_may_be_forced() {
        with_page(|page| {
            connected(page);
            page.choose("publish");
            page.desk_now().write("messageId", "m".into());
            page.desk_now().write("payload", "{".into());
            page.send(FIRST);
            assert!(
                page.desk_now()
                    .refusal
                    .get_untracked()
                    .contains("not valid JSON")
            );
            page.send_anyway(FIRST);
            assert_eq!(page.desk_now().refusal.get_untracked(), "");
        });
    }

    #[test]
    fn an_edited_frame_goes_out_as_it_is_until_a_field_changes() {
        with_page(|page| {
            connected(page);
            page.desk_now().edited.set(Some("{}".into()));
            assert!(page.desk_now().edited_problem().is_some());
            page.send(FIRST);
            assert_eq!(page.desk_now().refusal.get_untracked(), "");
            assert_eq!(page.desk_now().frame(), "{}");
            page.desk_now().write("token", "ada".into());
            assert!(page.desk_now().frame().contains(r#""token":"ada""#));
        });
    }

    #[test]
    fn a_path_means_this_gateway() {
        with_page(|page| {
            page.desk_now().url.set(" /ws/sub/orders ".into());
            page.connect(FIRST);
            assert_eq!(
                page.desk_now().url.get_untracked(),
                "ws://localhost:3000/ws/sub/orders"
            );
        });
    }

    #[test]
    fn resume_is_filled_in_from_what_the_page_knows() {
        with_page(|page| {
            connected(page);
            let frames = [
                r#"{"type":"subscribed","topic":"prices","seqNo":4,"epoch":"e1"}"#,
                r#"{"type":"ready","sessionId":"s-1","userId":"ada"}"#,
            ];
            let events = frames.map(|text| happened(Event::Received(text.into())));
            page.playground.update(|p| p.apply_all(events));
            page.choose("resume");
            assert_eq!(
                page.desk_now().frame(),
                r#"{"type":"resume","token":"demo-user","sessionId":"s-1","lastSeqPerTopic":{"prices":4},"epochs":{"prices":"e1"}}"#
            );
        });
    }

    #[test]
    fn each_client_has_a_desk_of_its_own() {
        with_page(|page| {
            page.desk_now().write("topic", "orders".into());
            page.add_client();
            let second = page.active.get_untracked();
            assert_ne!(second, FIRST);
            page.choose("subscribe");
            assert!(page.desk_now().frame().contains("prices"));
            assert!(page.desk_of(FIRST).frame().contains("demo-user"));
            page.remove_client(second);
            assert_eq!(page.active.get_untracked(), FIRST);
        });
    }
    #[test]
    fn a_client_that_goes_is_closed_at_once_and_no_other_hears_of_it() {
        with_page(|page| {
            page.add_client();
            let second = page.active.get_untracked();
            page.connect(second);
            page.remove_client(second);
            page.playground.with_untracked(|p| {
                let last = p.log().after(0).last().cloned();
                assert_eq!(last.map(|row| row.kind.clone()).as_deref(), Some("closed"));
            });
            page.add_client();
            assert_eq!(page.active.get_untracked(), second);
            assert_eq!(page.phase_of(second).name(), "disconnected");
            page.remove_client(second);
            page.playground
                .with_untracked(|p| assert_eq!(p.log().after(0).count(), 2));
        });
    }

    #[test]
    fn what_is_on_a_button_of_the_shelf_is_a_command() {
        with_page(|page| {
            let titles = || Command::all(page).into_iter().map(Command::title);
            for title in [
                "Play: Fan-out",
                "Fault: Cut",
                "Way back: Reconnect",
                "Way back: Resume",
                "Verify, or stop it",
                "Copy link",
                "Export log",
                "Clear the log",
            ] {
                assert!(titles().any(|other| other == title), "{title}");
            }
            let mut all: Vec<_> = titles().collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "each has a name of its own");
        });
    }

    #[test]
    fn one_thing_is_played_at_a_time() {
        with_page(|page| {
            Command::Play(SCENARIOS[0]).run(page);
            assert!(page.is_playing());
            Command::Play(SCENARIOS[1]).run(page);
            let is_first =
                |run: &Option<Run>| run.as_ref().is_some_and(|r| r.scenario() == SCENARIOS[0]);
            assert!(page.run.with_untracked(is_first));
            assert!(!Command::all(page).contains(&Command::Play(SCENARIOS[1])));
        });
    }
}

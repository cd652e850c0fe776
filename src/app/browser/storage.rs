//! What is kept in `localStorage`. A browser that forbids it simply forgets.

use leptos::prelude::window;
use web_sys::Storage;

use super::Stored;

/// The key of what is kept. It changes with its shape, so that an older shape is left alone.
fn key(place: Stored) -> &'static str {
    match place {
        Stored::Choices => "micro-socket/docs/2",
        Stored::Library => "micro-socket/messages/1",
    }
}

fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

/// What was kept last.
pub(crate) fn load(place: Stored) -> Option<String> {
    storage()?.get_item(key(place)).ok().flatten()
}

/// Keeps a text; `false` where the browser does not: it forbids it, or is full.
pub(crate) fn save(place: Stored, text: &str) -> bool {
    storage().is_some_and(|storage| storage.set_item(key(place), text).is_ok())
}

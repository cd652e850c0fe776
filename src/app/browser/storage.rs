//! The last choices in `localStorage`. A browser that forbids it simply forgets.

use leptos::prelude::window;
use web_sys::Storage;

/// Changes with the shape of what is kept, so that an older shape is left alone.
const KEY: &str = "micro-socket/docs/1";

fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

/// What was kept last.
pub(crate) fn load() -> Option<String> {
    storage()?.get_item(KEY).ok().flatten()
}

/// Keeps a text.
pub(crate) fn save(text: &str) {
    if let Some(storage) = storage() {
        // A full storage forgets; that is no reason to disturb anyone.
        let _ = storage.set_item(KEY, text);
    }
}

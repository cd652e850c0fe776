//! The browser as the server sees it: not there. The page's first rendering needs none of it.

use super::super::playground::Event;

/// No host is known yet.
pub fn origins() -> Option<(String, String)> {
    None
}

/// Nobody waits for it.
pub fn mark_alive() {}

/// There is no clock on the first rendering.
pub fn now() -> f64 {
    0.0
}

/// Times are shown in the reader's own zone, which only the browser knows.
pub fn minutes_east() -> i32 {
    0
}

/// The browser makes it.
pub fn random_id() -> String {
    String::new()
}

/// Nothing can be focused.
pub fn focus(_id: &str) {}

/// Nothing can be focused.
pub fn focus_neighbour(_ev: &leptos::ev::KeyboardEvent) {}

/// Nothing can be copied.
pub fn copy(_text: &str, _done: impl Fn(bool) + 'static) {}

/// Nothing is fetched.
pub fn get_text(_path: &str, _done: impl Fn(Result<String, String>) + 'static) {}

/// Nothing is kept.
pub fn load() -> Option<String> {
    None
}

/// Nothing is kept.
pub fn save(_text: &str) {}

/// No socket is opened.
pub fn open(_url: &str, _events: impl Fn(Vec<(f64, Event)>) + 'static) {}

/// There is no socket.
pub fn send(_text: String) -> Result<(), String> {
    Ok(())
}

/// There is no socket.
pub fn close() {}

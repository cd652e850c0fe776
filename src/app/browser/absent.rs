//! The browser as the server sees it: not there. The page's first rendering needs none of it.

use futures_util::future::AbortHandle;
use leptos::web_sys::HtmlElement;

use super::super::playground::Happened;
use super::super::playground::client::ClientId;
use super::Stored;
use crate::verify::{Finding, Request};

/// No host is known yet.
pub(crate) fn origins() -> Option<(String, String)> {
    None
}

/// Nobody waits for it.
pub(crate) fn mark_alive() {}

/// There is no clock on the first rendering.
pub(crate) fn now() -> f64 {
    0.0
}

/// Times are shown in the reader's own zone, which only the browser knows.
pub(crate) fn minutes_east() -> i32 {
    0
}

/// The browser makes it.
pub(crate) fn random_id() -> String {
    String::new()
}

/// Nothing can be focused.
pub(crate) fn focus(_id: &str) {}

/// Nothing has the focus.
pub(crate) fn catch_focus(_id: &'static str) {}

/// Nothing can be focused.
pub(crate) fn focus_neighbour(_ev: &leptos::ev::KeyboardEvent) {}

/// Nothing can be focused.
pub(crate) fn focus_row(_id: u64) -> bool {
    false
}

/// Nothing is in view.
pub(crate) fn show_row(_id: u64) {}

/// Nothing is laid out.
pub(crate) fn place_rows(
    _log: &HtmlElement,
    _list: &HtmlElement,
    _rows: &[(HtmlElement, bool)],
    _others: &[HtmlElement],
) {
}

/// Nothing is laid out.
pub(crate) fn lay_rows(_list: &HtmlElement, _above: usize, _all: usize) {}

/// Nothing is laid out.
pub(crate) fn row_height(_list: &HtmlElement) -> Option<f64> {
    None
}

/// Nothing is looked for.
pub(crate) fn look_for(_pattern: &str, _flags: &str) -> Result<(), String> {
    Ok(())
}

/// Everything fits.
pub(crate) fn fits(_text: &str) -> bool {
    true
}

/// Nothing can be copied.
pub(crate) fn copy(_text: &str, _done: impl Fn(bool) + 'static) {}

/// No file is saved.
pub(crate) fn save_file(_name: &str, _text: &str) {}

/// No file is chosen.
pub(crate) fn read_chosen(
    _ev: &leptos::ev::Event,
    _done: impl FnOnce(String, Result<String, String>) + 'static,
) {
}

/// No file is dropped.
pub(crate) fn read_dropped(
    _ev: &leptos::ev::DragEvent,
    _done: impl FnOnce(String, Result<String, String>) + 'static,
) {
}

/// Nothing is pressed.
pub(crate) fn press(_id: &str) {}

/// Nothing is fetched.
pub(crate) fn get_text(_path: &str, _done: impl Fn(Result<String, String>) + 'static) {}

/// Nothing is asked.
pub(crate) fn post_json(
    _path: &str,
    _body: &str,
    _done: impl Fn(Result<String, String>) + 'static,
) {
}

/// Nothing is waited for.
pub(crate) fn later(_ms: u32, _act: impl FnOnce() + 'static) {}

/// Nothing is kept.
pub(crate) fn load(_place: Stored) -> Option<String> {
    None
}

/// Nothing is kept.
pub(crate) fn save(_place: Stored, _text: &str) -> bool {
    false
}

/// The server is not sent it.
pub(crate) fn fragment() -> Option<String> {
    None
}

/// The server is not sent it.
pub(crate) fn on_fragment(_take: impl Fn() + 'static) {}

/// No key is pressed.
pub(crate) fn on_key(_take: impl Fn(&str, bool, bool) -> bool + 'static) {}

/// Nothing is in view.
pub(crate) fn show(_id: &str) {}

/// There is nowhere to go.
pub(crate) fn go_to(_id: &'static str) {}

/// There is nothing to press.
pub(crate) fn go_and_press(_id: &'static str) {}

/// No dialog opens.
pub(crate) fn show_dialog(_id: &str) {}

/// No dialog is open.
pub(crate) fn close_dialog(_id: &str) {}

/// Nothing is streamed.
pub(crate) fn follow(_path: &'static str, _take: impl Fn(Option<String>) + 'static) {}

/// No time passes.
pub(crate) fn every_second(_tick: impl Fn() + 'static) {}

/// Nothing happens.
pub(crate) fn on_events(_take: impl Fn(Vec<Happened>) + 'static) {}

/// No socket is opened.
pub(crate) fn open(_client: ClientId, _url: &str) {}

/// There is no socket.
pub(crate) fn send(_client: ClientId, _text: String) -> Result<(), String> {
    Ok(())
}

/// There is no socket.
pub(crate) fn close(_client: ClientId) {}

/// There is no socket.
pub(crate) fn part(_client: ClientId) {}

/// Nothing is checked.
pub(crate) fn verify(_request: Request, _tell: impl Fn(&Finding) + 'static) -> AbortHandle {
    AbortHandle::new_pair().0
}

//! The log's rows in the document: where they stand, where the focus goes, and what is looked for in
//! them.

use std::cell::RefCell;

use js_sys::{Array, Error, Function, Reflect, RegExp};
use leptos::prelude::document;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{FocusOptions, HtmlElement, KeyboardEvent, Node};

use super::live::show_element;

thread_local! {
    static LOOKED_FOR: RefCell<Option<RegExp>> = const { RefCell::new(None) };
}

/// From now on [`fits`] looks for this regular expression; the error says why it is none, and then
/// everything fits.
pub(crate) fn look_for(pattern: &str, flags: &str) -> Result<(), String> {
    let made = regexp(pattern, flags);
    let (made, result) = match made {
        Ok(made) => (Some(made), Ok(())),
        Err(error) => (None, Err(words(&error))),
    };
    LOOKED_FOR.replace(made);
    result
}

/// The browser's own regular expressions: they cost the page nothing.
fn regexp(pattern: &str, flags: &str) -> Result<RegExp, JsValue> {
    let class: Function = Reflect::get(&js_sys::global(), &"RegExp".into())?.dyn_into()?;
    let made = Reflect::construct(&class, &Array::of2(&pattern.into(), &flags.into()))?;
    made.dyn_into()
}

/// The last part of `Invalid regular expression: /(/: Unterminated group`.
fn words(error: &JsValue) -> String {
    let message = error
        .dyn_ref::<Error>()
        .and_then(|error| error.message().as_string())
        .unwrap_or_default();
    let last = message.rsplit(": ").next().unwrap_or_default();
    last.to_owned()
}

/// Whether what is looked for stands in a text.
pub(crate) fn fits(text: &str) -> bool {
    LOOKED_FOR.with_borrow(|pattern| pattern.as_ref().is_none_or(|pattern| pattern.test(text)))
}

/// Makes a list as high as all its rows, with the rows that are there below so many others.
pub(crate) fn lay_rows(list: &HtmlElement, above: usize, all: usize) {
    for (name, rows) in [("--above", above), ("--all", all)] {
        let _ = list.style().set_property(name, &rows.to_string());
    }
}

/// Brings the rows into their order; those with `true` stand elsewhere as yet. All others that the list
/// ever had leave the document. A focus that was in a row which goes is given to the log.
pub(crate) fn place_rows(
    log: &HtmlElement,
    list: &HtmlElement,
    rows: &[(HtmlElement, bool)],
    others: &[HtmlElement],
) {
    let active = document().active_element();
    let has_focus = |row: &HtmlElement| row.contains(active.as_deref());
    let moved = rows.iter().filter(|(_, moved)| *moved).map(|(row, _)| row);
    if moved.chain(others).any(has_focus) {
        let options = FocusOptions::new();
        options.set_prevent_scroll(true);
        let _ = log.focus_with_options(&options);
    }
    for row in others {
        row.remove();
    }
    let mut next: Option<&HtmlElement> = None;
    for (row, moved) in rows.iter().rev() {
        if *moved {
            let _ = list.insert_before(row, next.map(|next| &**next as &Node));
        }
        next = Some(row);
    }
}

/// The height of a list's rows in pixels; unknown while there is none.
pub(crate) fn row_height(list: &HtmlElement) -> Option<f64> {
    let row = list.first_element_child()?;
    Some(row.get_bounding_client_rect().height()).filter(|height| *height > 0.0)
}

/// The button that opens a row of the log.
fn opener(id: u64) -> Option<HtmlElement> {
    let row = format!(".log [data-row='{id}'] [data-act='open']");
    let found = document().query_selector(&row).ok()??;
    found.dyn_into().ok()
}

/// Moves the focus to a row of the log. Tells whether it is there.
pub(crate) fn focus_row(id: u64) -> bool {
    let Some(found) = opener(id) else {
        return false;
    };
    found.focus().is_ok()
}

/// Brings a row of the log into view, if it is there.
pub(crate) fn show_row(id: u64) {
    if let Some(row) = opener(id).and_then(|found| found.closest("li").ok()?) {
        show_element(&row);
    }
}

/// Up and Down in a list move the focus to the same button of the row above or below.
pub(crate) fn focus_neighbour(ev: &KeyboardEvent) {
    let target = ev.target().and_then(|t| t.dyn_into::<HtmlElement>().ok());
    let Some((button, row)) = target.and_then(|t| Some((t.clone(), t.closest("li").ok()??))) else {
        return;
    };
    let neighbour = match ev.key().as_str() {
        "ArrowUp" => row.previous_element_sibling(),
        "ArrowDown" => row.next_element_sibling(),
        _ => return,
    };
    ev.prevent_default();
    let same = format!(
        "[data-act='{}']:not(.absent), [data-act='copy']",
        button.get_attribute("data-act").unwrap_or_default()
    );
    let found = neighbour.and_then(|row| row.query_selector(&same).ok().flatten());
    if let Some(found) = found.and_then(|e| e.dyn_into::<HtmlElement>().ok()) {
        let _ = found.focus();
    }
}

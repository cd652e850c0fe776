//! Small things only the browser knows or can do.

use std::rc::Rc;
use std::time::Duration;

use gloo_timers::callback::Interval;
use js_sys::Promise;
use leptos::prelude::{
    IsDisposed, LocalStorage, StoredValue, UpdateValue, document, request_animation_frame,
    set_timeout, window, window_event_listener,
};
use leptos::task::spawn_local;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Element, EventSource, HtmlDialogElement, HtmlElement, MessageEvent, RequestInit, Response,
    ScrollIntoViewOptions, ScrollLogicalPosition,
};

use super::press;

/// The WebSocket and the HTTP origin of the gateway that served the page.
pub(crate) fn origins() -> Option<(String, String)> {
    let location = window().location();
    let (protocol, host) = (location.protocol().ok()?, location.host().ok()?);
    let ws = if protocol == "https:" { "wss" } else { "ws" };
    Some((format!("{ws}://{host}"), format!("{protocol}//{host}")))
}

/// Tells the document that the page answers now.
pub(crate) fn mark_alive() {
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute("data-hydrated", "true");
    }
}

/// Milliseconds since 1970, with fractions, never going back.
pub(crate) fn now() -> f64 {
    window()
        .performance()
        .map_or_else(js_sys::Date::now, |p| p.time_origin() + p.now())
}

/// The reader's time zone, in minutes east of UTC.
pub(crate) fn minutes_east() -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "at most a day of minutes")]
    let east = -js_sys::Date::new_0().get_timezone_offset() as i32;
    east
}

/// A Message ID that nobody else makes.
pub(crate) fn random_id() -> String {
    let mut bytes = [0_u8; 8];
    let filled = window()
        .crypto()
        .and_then(|crypto| crypto.get_random_values_with_u8_array(&mut bytes));
    if filled.is_err() {
        return format!("m_{:x}", now().to_bits());
    }
    format!("m_{:016x}", u64::from_be_bytes(bytes))
}

/// Moves the focus to the element with this id.
pub(crate) fn focus(id: &str) {
    let element = document().get_element_by_id(id);
    if let Some(element) = element.and_then(|e| e.dyn_into::<HtmlElement>().ok()) {
        // What is folded cannot have the focus.
        if let Ok(Some(folded)) = element.closest("details") {
            let _ = folded.set_attribute("open", "");
        }
        let _ = element.focus();
    }
}

/// Where what had the focus is about to leave the page, the element with this id gets it, so that the
/// keyboard stays near.
pub(crate) fn catch_focus(id: &'static str) {
    request_animation_frame(move || {
        if document()
            .active_element()
            .is_none_or(|e| e.tag_name() == "BODY")
        {
            focus(id);
        }
    });
}

/// Brings the element with this id into view.
pub(crate) fn show(id: &str) {
    if let Some(element) = document().get_element_by_id(id) {
        show_element(&element);
    }
}

/// Brings an element into view, as little as that takes.
pub(super) fn show_element(element: &Element) {
    let options = ScrollIntoViewOptions::new();
    options.set_block(ScrollLogicalPosition::Nearest);
    element.scroll_into_view_with_scroll_into_view_options(&options);
}

/// Goes to the element with this id as a link to it does, the keyboard too. What was asked for just now
/// stands in the document by the next frame.
pub(crate) fn go_to(id: &'static str) {
    request_animation_frame(move || {
        focus(id);
        if let Some(element) = document().get_element_by_id(id) {
            element.scroll_into_view();
        }
    });
}

/// Goes to the button with this id and presses it.
pub(crate) fn go_and_press(id: &'static str) {
    go_to(id);
    request_animation_frame(move || press(id));
}

fn dialog(id: &str) -> Option<HtmlDialogElement> {
    document().get_element_by_id(id)?.dyn_into().ok()
}

/// Opens a dialog over the page. The focus moves into it, and back when it is closed.
pub(crate) fn show_dialog(id: &str) {
    if let Some(dialog) = dialog(id).filter(|dialog| !dialog.open()) {
        let _ = dialog.show_modal();
    }
}

/// Closes a dialog.
pub(crate) fn close_dialog(id: &str) {
    if let Some(dialog) = dialog(id) {
        dialog.close();
    }
}

/// Asks `take` at each press of a key: the key, whether Ctrl or Command is held, and whether somebody
/// is writing. What it takes the browser does not.
pub(crate) fn on_key(take: impl Fn(&str, bool, bool) -> bool + 'static) {
    let listener = window_event_listener(leptos::ev::keydown, move |ev| {
        let target = ev.target().and_then(|t| t.dyn_into::<HtmlElement>().ok());
        let writing = target.is_some_and(|t| t.matches("input, textarea, select").unwrap_or(false));
        if !ev.alt_key() && take(&ev.key(), ev.ctrl_key() || ev.meta_key(), writing) {
            ev.prevent_default();
        }
    });
    // As long as the page.
    std::mem::forget(listener);
}

/// Calls `tick` every second for as long as what asks for it is in view.
pub(crate) fn every_second(tick: impl Fn() + 'static) {
    // It ends when the reactive owner lets go of it.
    StoredValue::new_local(Interval::new(1_000, tick));
}

/// Takes what a path of this gateway streams (`text/event-stream`), for as long as what asks for it is
/// in view. `None` says that the stream was lost; it comes back by itself.
pub(crate) fn follow(path: &'static str, take: impl Fn(Option<String>) + 'static) {
    Following::open(path, Rc::new(take), StoredValue::new_local(None));
}

/// After an answer that is no stream the browser gives up; then it is asked again after this long, in
/// milliseconds.
const AGAIN_MS: u32 = 3_000;

struct Following {
    source: EventSource,
    _heard: Closure<dyn Fn(MessageEvent)>,
    _lost: Closure<dyn Fn()>,
}

impl Following {
    fn open(
        path: &'static str,
        take: Rc<dyn Fn(Option<String>)>,
        place: StoredValue<Option<Self>, LocalStorage>,
    ) {
        let Ok(source) = EventSource::new(path) else {
            return;
        };
        let tell = Rc::clone(&take);
        let heard = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(text) = event.data().as_string() {
                tell(Some(text));
            }
        });
        source.set_onmessage(Some(heard.as_ref().unchecked_ref()));
        let of = source.clone();
        let lost = Closure::<dyn Fn()>::new(move || {
            take(None);
            if of.ready_state() == EventSource::CLOSED {
                let take = Rc::clone(&take);
                later(AGAIN_MS, move || {
                    if !place.is_disposed() {
                        Self::open(path, take, place);
                    }
                });
            }
        });
        source.set_onerror(Some(lost.as_ref().unchecked_ref()));
        let following = Self {
            source,
            _heard: heard,
            _lost: lost,
        };
        let _ = place.try_update_value(|place| *place = Some(following));
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.source.close();
    }
}

/// Calls `take` whenever the part of the address after `#` changes.
pub(crate) fn on_fragment(take: impl Fn() + 'static) {
    let listener = window_event_listener(leptos::ev::hashchange, move |_| take());
    // As long as the page.
    std::mem::forget(listener);
}

/// The part of the page's address after `#`.
pub(crate) fn fragment() -> Option<String> {
    window().location().hash().ok()
}

/// Copies a text to the clipboard and says whether that worked.
pub(crate) fn copy(text: &str, done: impl Fn(bool) + 'static) {
    let clipboard = window().navigator().clipboard();
    // Browsers offer no clipboard to a page from plain http on another host than localhost.
    if clipboard.is_undefined() {
        done(false);
        return;
    }
    let copied = JsFuture::from(clipboard.write_text(text));
    spawn_local(async move { done(copied.await.is_ok()) });
}

/// Gets a path of this gateway as text; an error says why not in words.
pub(crate) fn get_text(path: &str, done: impl Fn(Result<String, String>) + 'static) {
    let path = path.to_owned();
    spawn_local(async move { done(fetch(path).await) });
}

/// Posts JSON to a path of this gateway, as [`get_text`].
pub(crate) fn post_json(path: &str, body: &str, done: impl Fn(Result<String, String>) + 'static) {
    let options = RequestInit::new();
    options.set_method("POST");
    options.set_body(&body.into());
    let answer = window().fetch_with_str_and_init(path, &options);
    spawn_local(async move { done(text_of(answer).await) });
}

/// Does something after so many milliseconds.
pub(crate) fn later(ms: u32, act: impl FnOnce() + 'static) {
    set_timeout(act, Duration::from_millis(ms.into()));
}

/// The body of a path or URL of this gateway; an error says why there is none.
pub(super) async fn fetch(path: String) -> Result<String, String> {
    text_of(window().fetch_with_str(&path)).await
}

async fn text_of(answer: Promise) -> Result<String, String> {
    let text = async {
        let answer = JsFuture::from(answer).await?;
        let response: Response = answer.dyn_into()?;
        let body = JsFuture::from(response.text()?).await?;
        let body = body.as_string().unwrap_or_default();
        Ok::<_, JsValue>(if response.ok() {
            Ok(body)
        } else {
            Err(format!("{}: {body}", response.status()))
        })
    };
    text.await
        .unwrap_or_else(|_| Err("the gateway cannot be reached".into()))
}

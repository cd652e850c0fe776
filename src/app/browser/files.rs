//! Files: saved from the page, and read into it.

use leptos::ev::{DragEvent, Event};
use leptos::prelude::document;
use leptos::task::spawn_local;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, BlobPropertyBag, File, FileList, HtmlAnchorElement, HtmlElement, HtmlInputElement, Url,
};

use super::super::playground::session_file::check_size;
use super::later;

/// How long a browser may take to begin to save a file, in milliseconds.
const SAVING_MS: u32 = 60_000;

/// Saves a text as a file where the browser puts downloads.
pub(crate) fn save_file(name: &str, text: &str) {
    let _ = try_save(name, text);
}

fn try_save(name: &str, text: &str) -> Result<(), JsValue> {
    let options = BlobPropertyBag::new();
    options.set_type("application/x-ndjson");
    let parts = js_sys::Array::of1(&text.into());
    let blob = Blob::new_with_str_sequence_and_options(&parts, &options)?;
    let url = Url::create_object_url_with_blob(&blob)?;
    let link: HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    link.set_href(&url);
    link.set_download(name);
    link.click();
    later(SAVING_MS, move || {
        let _ = Url::revoke_object_url(&url);
    });
    Ok(())
}

/// Reads the file that was chosen in a file input: its name, and its text or why there is none.
pub(crate) fn read_chosen(ev: &Event, done: impl FnOnce(String, Result<String, String>) + 'static) {
    let input = ev
        .target()
        .and_then(|t| t.dyn_into::<HtmlInputElement>().ok());
    if let Some(input) = input {
        read(input.files(), done);
        // The same file can be chosen again after it was mended.
        input.set_value("");
    }
}

/// Reads the file that was dropped, as [`read_chosen`].
pub(crate) fn read_dropped(
    ev: &DragEvent,
    done: impl FnOnce(String, Result<String, String>) + 'static,
) {
    read(ev.data_transfer().and_then(|data| data.files()), done);
}

fn read(files: Option<FileList>, done: impl FnOnce(String, Result<String, String>) + 'static) {
    let Some(file) = files.and_then(|files| files.get(0)) else {
        return;
    };
    spawn_local(async move { done(file.name(), text_of(&file).await) });
}

async fn text_of(file: &File) -> Result<String, String> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what does not fit is too large as well"
    )]
    check_size(file.size() as usize).map_err(|problem| problem.to_string())?;
    let text = JsFuture::from(file.text()).await;
    let text = text.ok().and_then(|text| text.as_string());
    text.ok_or_else(|| "The browser cannot read the file.".into())
}

/// Presses what has this id.
pub(crate) fn press(id: &str) {
    let element = document().get_element_by_id(id);
    if let Some(element) = element.and_then(|e| e.dyn_into::<HtmlElement>().ok()) {
        element.click();
    }
}

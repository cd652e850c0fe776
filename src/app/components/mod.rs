//! What is seen of the playground, top to bottom: clients, connection, shelf, composer, HTTP corner, log; and the
//! reference below it.

mod clients;
mod composer;
mod connect_panel;
mod evidence;
mod faults;
mod field;
mod frame_detail;
mod frame_log;
mod http_corner;
mod log_row;
mod log_rows;
mod log_tools;
mod palette;
mod pictures;
mod reference;
mod run_view;
mod scenarios;
mod session;
mod shelf;
mod take_away;
mod token_helper;
mod topics;
mod web_page;

use leptos::prelude::*;

use super::page::Page;
pub(crate) use palette::{PALETTE, SHORTCUTS};
pub use reference::Reference;
pub(crate) use shelf::Tool;

/// The whole playground. Its controls are disabled until the browser has taken over, so that no
/// press of a button is lost; it looks the same before and after.
#[component]
pub fn Playground(page: Page) -> impl IntoView {
    view! {
        <fieldset class="playground" disabled=move || !page.alive.get()>
            <legend class="visually-hidden">"Playground"</legend>
            <clients::Clients page />
            <connect_panel::ConnectPanel page />
            <shelf::Shelf page />
            <div class="bench">
                <div class="compose">
                    <composer::Composer page />
                    <http_corner::HttpCorner page />
                </div>
                {move || {
                    // Another log is another view: its rows have the same numbers.
                    page.imported.name.track();
                    view! { <frame_log::FrameLog page /> }
                }}
            </div>
            <palette::Palette page />
            <palette::Shortcuts />
        </fieldset>
    }
}

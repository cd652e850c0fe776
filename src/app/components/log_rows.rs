//! The rows of the log that stand in the document: a fixed number of slots that are filled anew.

use std::sync::Arc;

use leptos::html;
use leptos::prelude::*;

use super::super::browser;
use super::super::page::Page;
use super::super::playground::listing::WINDOW;
use super::super::playground::log::Row;
use super::super::playground::slots::Slots;
use super::log_row::{LogRow, Shown};

/// The rows in view. `log` scrolls and takes the focus of a row that goes; `list` has the rows. `stop` is
/// the row that the Tab key goes to.
#[component]
pub fn Rows(
    page: Page,
    log: NodeRef<html::Div>,
    list: NodeRef<html::Ol>,
    rows: Memo<Vec<Arc<Row>>>,
    stop: Memo<u64>,
    pinned: Memo<Vec<Arc<Row>>>,
) -> impl IntoView {
    let slots = [(); WINDOW].map(|()| (RwSignal::new(None), NodeRef::<html::Li>::new()));
    let given = StoredValue::new(Slots::default());
    Effect::new(move |_| {
        let (Some(log), Some(list)) = (log.get(), list.get()) else {
            return;
        };
        let elements = slots.map(|(_, element)| element.get());
        let mut elements = elements.map(|element| element.map(|element| (*element).clone()));
        if elements.iter().any(Option::is_none) {
            return;
        }
        rows.with(|rows| {
            let ids: Vec<u64> = rows.iter().map(|row| row.id).collect();
            let placed = given.try_update_value(|slots| slots.place(&ids));
            let mut order = Vec::with_capacity(WINDOW);
            for (placed, row) in placed.into_iter().flatten().zip(rows) {
                fill(slots[placed.slot].0, Some(row));
                let element = elements[placed.slot].take();
                order.extend(element.map(|element| (element, placed.moved)));
            }
            let mut others = Vec::new();
            for ((row, _), element) in slots.iter().zip(elements) {
                if let Some(element) = element {
                    fill(*row, None);
                    others.push(element);
                }
            }
            browser::place_rows(&log, &list, &order, &others);
        });
    });
    slots
        .into_iter()
        .map(|(row, element)| {
            view! { <LogRow page row=Shown(row.into()) element stop pinned /> }
        })
        .collect_view()
        .into_any()
}

/// Shows a row in a slot, if it is not there already.
fn fill(slot: RwSignal<Option<Arc<Row>>>, row: Option<&Arc<Row>>) {
    let is_there = slot.with_untracked(|shown| match (shown, row) {
        (Some(shown), Some(row)) => Arc::ptr_eq(shown, row),
        (shown, row) => shown.is_none() && row.is_none(),
    });
    if !is_there {
        slot.set(row.cloned());
    }
}

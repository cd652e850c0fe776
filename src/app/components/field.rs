//! One field of a frame, with its meaning from the reference and its problem in words.

use leptos::prelude::*;

use super::super::page::Page;
use super::super::playground::draft::label;
use crate::protocol::reference::FieldDoc;

/// One field of the frame being composed.
#[component]
pub fn Field(page: Page, field: &'static FieldDoc) -> impl IntoView {
    let name = field.name;
    let id = format!("field-{name}");
    let (hint_id, problem_id) = (format!("{id}-hint"), format!("{id}-problem"));
    let value = move || page.desk().draft.with(|draft| draft.get(name).to_owned());
    let problem = Memo::new(move |_| page.desk().draft.with(|draft| draft.problem(field)));
    let invalid = move || problem.with(Option::is_some).then_some("true");
    let described = format!("{hint_id} {problem_id}");
    let write = move |ev| page.desk_now().write(name, event_target_value(&ev));
    // A textarea never gets children: the server does not escape them.
    let control = if name == "payload" {
        view! {
            <textarea
                id=id.clone()
                rows="3"
                spellcheck="false"
                autocapitalize="off"
                aria-describedby=described
                aria-invalid=invalid
                prop:value=value
                on:input=write
            ></textarea>
        }
        .into_any()
    } else {
        view! {
            <input
                id=id.clone()
                type="text"
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                aria-describedby=described
                aria-invalid=invalid
                value=page.desk_now().draft.with_untracked(|draft| draft.get(name).to_owned())
                prop:value=value
                on:input=write
            />
        }
        .into_any()
    };
    view! {
        <div class="field">
            <label for=id>{label(name)}</label>
            {control}
            {(name == "messageId").then(|| view! { <IdTools page /> })}
            <p class="problem" id=problem_id aria-live="polite">
                {move || problem.get()}
            </p>
            <p class="hint" id=hint_id>
                {field.meaning}
            </p>
        </div>
    }
}

/// A new id, or the same once more.
#[component]
fn IdTools(page: Page) -> impl IntoView {
    view! {
        <div class="id-tools">
            <label class="check">
                <input
                    type="checkbox"
                    prop:checked=move || page.desk().keep_id.get()
                    on:change=move |ev| page.desk_now().keep_id(event_target_checked(&ev))
                />
                "Keep ID"
            </label>
            <button
                type="button"
                class="small"
                on:click=move |_| {
                    page.desk_now().keep_id.set(false);
                    page.desk_now().new_id();
                }
            >
                "New ID"
            </button>
        </div>
    }
}

//! The reference: plain HTML from the protocol's catalogue, readable without script. The lines for a web
//! page come first.

use leptos::prelude::*;

use super::web_page::WebPage;
use crate::protocol::reference::{
    Direction, ENDPOINTS, FRAMES, FieldDoc, FrameDoc, SETTINGS, SettingDoc,
};
use crate::protocol::{CloseCode, ErrorCode};

/// Every chapter.
#[component]
pub fn Reference() -> impl IntoView {
    view! {
        <div class="reference">
            <WebPage />
            <Endpoints />
            <Messages />
            <Errors />
            <Closes />
            <Settings />
        </div>
    }
}

/// A chapter, which links and the palette lead to.
#[component]
pub(super) fn Chapter(id: &'static str, title: &'static str, children: Children) -> impl IntoView {
    let heading = || format!("{id}-title");
    view! {
        <section id=id tabindex="-1" aria-labelledby=heading()>
            <h2 id=heading()>{title}</h2>
            {children()}
        </section>
    }
}

/// A table; where the window is narrow its rows are stacked, see style/narrow.css.
#[component]
fn Table(name: &'static str, heads: &'static [&'static str], children: Children) -> impl IntoView {
    view! {
        <div class="table" role="region" aria-label=name tabindex="0">
            <table>
                <thead>
                    <tr>
                        {heads.iter().map(|head| view! { <th scope="col">{*head}</th> }).collect_view()}
                    </tr>
                </thead>
                <tbody>{children()}</tbody>
            </table>
        </div>
    }
}

#[component]
fn Endpoints() -> impl IntoView {
    let rows = ENDPOINTS.iter().map(|endpoint| {
        view! {
            <tr>
                <td>
                    <span class="method">{endpoint.method}</span>
                </td>
                <td>
                    <code>{endpoint.path}</code>
                </td>
                <td>{endpoint.summary}</td>
            </tr>
        }
    });
    view! {
        <Chapter id="endpoints" title="Endpoints">
            <p>
                "Frames are JSON text and the same on both WebSocket endpoints. With admin-addr set, /api/*, /metrics, /healthz and /readyz answer there only."
            </p>
            <Table name="Table of endpoints" heads=&["Method", "Path", "What it does"]>
                {rows.collect_view()}
            </Table>
        </Chapter>
    }
}

#[component]
fn Messages() -> impl IntoView {
    let of = |direction| {
        let frames = FRAMES
            .iter()
            .filter(move |frame| frame.direction == direction);
        frames.map(|frame| view! { <Frame frame /> }).collect_view()
    };
    view! {
        <Chapter id="messages" title="Messages">
            <p>
                "One JSON object a frame, named by its type. Unknown fields are ignored. The first frame is setup or resume."
            </p>
            <h3>"What you send"</h3>
            <div class="frames">{of(Direction::ToServer)}</div>
            <h3>"What the gateway sends"</h3>
            <div class="frames">{of(Direction::ToClient)}</div>
        </Chapter>
    }
}

#[component]
fn Frame(frame: &'static FrameDoc) -> impl IntoView {
    let side = match frame.direction {
        Direction::ToServer => "send",
        Direction::ToClient => "receive",
    };
    let fields = frame
        .fields
        .iter()
        .map(|field| view! { <FieldEntry field /> });
    view! {
        <article class="frame" id=format!("{side}-{}", frame.name)>
            <h4>
                <code>{frame.name}</code>
            </h4>
            <p>{frame.summary}</p>
            {(!frame.fields.is_empty()).then(|| view! { <dl>{fields.collect_view()}</dl> })}
            <pre class="example">{frame.example}</pre>
        </article>
    }
}

#[component]
fn FieldEntry(field: &'static FieldDoc) -> impl IntoView {
    let need = if field.required {
        "required"
    } else {
        "optional"
    };
    view! {
        <div>
            <dt>
                <code>{field.name}</code>
                <span class="kind">{field.kind} ", " {need}</span>
            </dt>
            <dd>{field.meaning}</dd>
        </div>
    }
}

#[component]
fn Errors() -> impl IntoView {
    let rows = ErrorCode::ALL.iter().map(|code| {
        view! {
            <tr id=format!("error-{}", code.as_str())>
                <td>
                    <code>{code.as_str()}</code>
                </td>
                <td>{code.http_status()}</td>
                <td>{code.cause()}</td>
                <td>{code.mend()}</td>
                <td>{if code.retryable() { "yes" } else { "no" }}</td>
            </tr>
        }
    });
    view! {
        <Chapter id="errors" title="Errors">
            <p>"The code of an error frame, and of an HTTP error with its status."</p>
            <Table
                name="Table of error codes"
                heads=&["Code", "HTTP", "Cause", "Mend", "Retryable"]
            >
                {rows.collect_view()}
            </Table>
        </Chapter>
    }
}

#[component]
fn Closes() -> impl IntoView {
    let rows = CloseCode::ALL.iter().map(|close| {
        view! {
            <tr id=format!("close-{}", close.code())>
                <td>
                    <code>{close.code()}</code>
                </td>
                <td>{close.reason()}</td>
                <td>{close.meaning()}</td>
                <td>{close.reconnect().advice()}</td>
            </tr>
        }
    });
    view! {
        <Chapter id="closes" title="Close codes">
            <p>
                "The second digit of a code of this protocol is its advice: 40xx do not reconnect, 41xx reconnect after a backoff, 42xx reconnect at once and resume."
            </p>
            <Table name="Table of close codes" heads=&["Code", "Reason", "Meaning", "For a client"]>
                {rows.collect_view()}
            </Table>
        </Chapter>
    }
}

#[component]
fn Settings() -> impl IntoView {
    view! {
        <Chapter id="settings" title="Settings">
            <p>
                "From flags, then the environment (--max-topics is MICRO_SOCKET_MAX_TOPICS there), then the TOML file, then the default. Durations read like 100ms, 10s, 2m; sizes like 64KiB, 1MiB."
            </p>
            <Table
                name="Table of settings"
                heads=&["Flag", "Environment", "Default", "Meaning"]
            >
                {SETTINGS.iter().map(|setting| view! { <Setting setting /> }).collect_view()}
            </Table>
        </Chapter>
    }
}

#[component]
fn Setting(setting: &'static SettingDoc) -> impl IntoView {
    view! {
        <tr>
            <td>
                <code>"--" {setting.name}</code>
            </td>
            <td>
                <code>{setting.environment()}</code>
            </td>
            <td>{setting.default}</td>
            <td>{setting.meaning}</td>
        </tr>
    }
}

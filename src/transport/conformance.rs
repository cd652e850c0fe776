//! Autobahn|Testsuite against the transport as it is. `docs/conformance.md` says how it is run and
//! what came of it.
//!
//! Autobahn speaks to an echo. In a test build, and there alone, a socket to `/ws/sub/echo` gets
//! each text back in place of the session's answer. All else is what ships: accept, handshake, frame
//! reader, turn, flush, backlog, close.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::connection::Connection;
use crate::config::{RawSettings, Settings};
use crate::server::Server;

const ECHO: &str = "echo";
const RECORD: &str = "docs/autobahn.json";
const REPORT: &str = "docs/conformance.md";

/// Whether the texts of this socket go back as they came.
pub(super) fn echoes(connection: &Connection) -> bool {
    let preset = connection.session.preset();
    preset.is_some_and(|topic| topic.as_str() == ECHO)
}

/// What Autobahn says of a case: what it saw, how the connection ended, and the code it was closed
/// with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Verdict(String, String, Option<u16>);

impl Verdict {
    /// A binary message is not part of the protocol: it is refused with 1003, and nothing else is
    /// wrong.
    fn is_binary_refused(&self) -> bool {
        self.0 == "FAILED" && self.2 == Some(1003)
    }

    fn shown(&self) -> &'static str {
        match (&*self.0, &*self.1) {
            _ if self.is_binary_refused() => "binary, refused with 1003",
            ("OK", "OK") => "OK",
            ("NON-STRICT", "OK") => "non-strict",
            ("INFORMATIONAL", "OK" | "INFORMATIONAL") => "informational",
            _ => "FAILED",
        }
    }
}

type Verdicts = BTreeMap<String, Verdict>;

/// Runs the cases and reads what Autobahn wrote.
fn run(wstest: &str, url: &str, folder: &Path) -> Verdicts {
    let spec = json!({
        "outdir": folder,
        "servers": [{"agent": ECHO, "url": url}],
        "cases": ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"],
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    let file = folder.join("spec.json");
    fs::write(&file, spec.to_string()).unwrap();
    let ended = Command::new(wstest)
        .args(["-m", "fuzzingclient", "-s"])
        .arg(&file)
        .current_dir(folder)
        .status();
    assert!(ended.unwrap().success(), "{wstest} failed");
    let index = fs::read(folder.join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let cases = index[ECHO].as_object().unwrap().iter();
    let text = |case: &serde_json::Value, name: &str| case[name].as_str().unwrap().to_owned();
    cases
        .map(|(name, case)| {
            let code = case["remoteCloseCode"].as_u64().map(|code| code as u16);
            let verdict = Verdict(text(case, "behavior"), text(case, "behaviorClose"), code);
            (name.clone(), verdict)
        })
        .collect()
}

/// Counts by section and verdict.
fn table(verdicts: &Verdicts) -> String {
    const COLUMNS: [&str; 5] = [
        "OK",
        "non-strict",
        "informational",
        "binary, refused with 1003",
        "FAILED",
    ];
    let mut sections: BTreeMap<u8, [usize; 5]> = BTreeMap::new();
    for (case, verdict) in verdicts {
        let section = case.split('.').next().unwrap().parse().unwrap();
        let column = COLUMNS.iter().position(|name| *name == verdict.shown());
        sections.entry(section).or_default()[column.unwrap()] += 1;
    }
    let mut table = format!("| section | {} |\n|---|", COLUMNS.join(" | "));
    table.push_str(&"---:|".repeat(COLUMNS.len()));
    let mut total = [0; 5];
    let mut row = |name: &str, counts: [usize; 5]| {
        let counts = counts.map(|count| count.to_string());
        let _ = write!(table, "\n| {name} | {} |", counts.join(" | "));
    };
    for (section, counts) in sections {
        let name = match section {
            1 => "1 framing",
            2 => "2 pings and pongs",
            3 => "3 reserved bits",
            4 => "4 opcodes",
            5 => "5 fragmentation",
            6 => "6 UTF-8",
            7 => "7 closing",
            9 => "9 limits and speed",
            10 => "10 auto-fragmentation",
            _ => "",
        };
        row(name, counts);
        total.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
    }
    row("all", total);
    table
}

fn project(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// `UPDATE=1` records what came out; otherwise it must be what is recorded.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Autobahn|Testsuite: run .ci/autobahn"]
async fn autobahn() {
    let wstest = std::env::var("WSTEST").expect("WSTEST names Autobahn's program");
    let mut raw = RawSettings::default();
    for (name, value) in [
        ("addr", "127.0.0.1:0"),
        // The largest message of section 9, and room to hand it back.
        ("max-message-bytes", "16MiB"),
        ("send-queue-bytes", "64MiB"),
        ("setup-timeout", "10m"),
    ] {
        raw.add(name, value.to_owned(), name.to_owned());
    }
    let settings = Settings::resolve(&raw, None).unwrap();
    let server = Server::start(&settings).await.unwrap();
    let url = format!("ws://{}/ws/sub/{ECHO}", server.addr);
    let folder = project("target/autobahn");
    let seen = tokio::task::spawn_blocking(move || run(&wstest, &url, &folder));
    let seen = seen.await.unwrap();
    server.drain().await;
    let recorded = lines(&seen);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(project(RECORD), recorded).unwrap();
    } else {
        let before = fs::read_to_string(project(RECORD)).unwrap();
        assert!(before == recorded, "{RECORD} says otherwise:\n{recorded}");
    }
}

/// One case a line.
fn lines(verdicts: &Verdicts) -> String {
    let lines: Vec<String> = verdicts
        .iter()
        .map(|(case, verdict)| format!("{}: {}", json!(case), json!(verdict)))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

#[test]
fn the_report_says_what_is_recorded() {
    let record = fs::read_to_string(project(RECORD)).unwrap();
    let verdicts: Verdicts = serde_json::from_str(&record).unwrap();
    let report = fs::read_to_string(project(REPORT)).unwrap();
    let (before, rest) = report.split_once("<!-- autobahn -->").unwrap();
    let (_, after) = rest.split_once("<!-- /autobahn -->").unwrap();
    let wanted = table(&verdicts);
    let wanted = format!("{before}<!-- autobahn -->\n{wanted}\n<!-- /autobahn -->{after}");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(project(REPORT), &wanted).unwrap();
    } else {
        assert!(
            report == wanted,
            "run: UPDATE=1 cargo test --features ssr report"
        );
    }
    for (case, verdict) in verdicts {
        let shown = verdict.shown();
        let named = report.contains(&format!("`{case}`"));
        assert!(
            shown == "OK" || shown.starts_with("binary") || named,
            "{case} is {shown} and not explained"
        );
        assert_ne!(shown, "FAILED", "{case}");
    }
}

//! What the program is made of: only licences, crates and sources that `deny.toml` lets in.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// The packages of the gateway and of the page, as cargo resolves them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--features=ssr,hydrate,otlp"])
        .args(["--filter-platform=x86_64-unknown-linux-gnu"])
        .args(["--filter-platform=wasm32-unknown-unknown"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problems}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let others = packages.iter().filter(|p| !p["source"].is_null());
    others.cloned().collect()
}

fn rules() -> toml::Table {
    include_str!("../../deny.toml").parse().unwrap()
}

fn texts<'a>(rules: &'a toml::Table, section: &str, key: &str) -> BTreeSet<&'a str> {
    let list = rules[section][key].as_array().unwrap();
    list.iter().map(|entry| entry.as_str().unwrap()).collect()
}

/// Whether an SPDX expression can be met with these licences. `/` is how OR was once written.
fn is_met(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = any_of(&mut rest, allowed);
    assert!(rest.is_empty(), "not understood: {expression}");
    met
}

fn any_of(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = all_of(words, allowed);
    while let ["OR", rest @ ..] = words {
        *words = rest;
        met |= all_of(words, allowed);
    }
    met
}

fn all_of(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = one(words, allowed);
    while let ["AND", rest @ ..] = words {
        *words = rest;
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    match words {
        ["(", rest @ ..] => {
            *words = rest;
            let met = any_of(words, allowed);
            assert_eq!(words.first(), Some(&")"));
            *words = &words[1..];
            met
        }
        // An exception would have to be allowed by name.
        [_, "WITH", _, rest @ ..] => {
            *words = rest;
            false
        }
        [licence, rest @ ..] => {
            *words = rest;
            allowed.contains(licence)
        }
        [] => panic!("a licence is missing"),
    }
}

#[test]
fn expressions_are_understood() {
    let allowed = &BTreeSet::from(["MIT", "ISC"]);
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("ISC AND (GPL-3.0 OR MIT)", true),
        ("(MIT OR ISC) AND GPL-3.0", false),
        ("GPL-3.0 AND MIT OR ISC", true),
        ("MIT WITH LLVM-exception", false),
    ] {
        assert_eq!(is_met(expression, allowed), met, "{expression}");
    }
}

#[test]
fn only_what_deny_toml_lets_in() {
    let rules = rules();
    let allowed = texts(&rules, "licenses", "allow");
    let sources = texts(&rules, "sources", "allow-registry");
    let denied = rules["bans"]["deny"].as_array().unwrap();
    let denied: BTreeSet<&str> = (denied.iter())
        .map(|entry| entry["crate"].as_str().unwrap())
        .collect();
    let packages = packages();
    assert!(packages.len() > 100, "{} packages", packages.len());
    let licence = |package: &Value| package["license"].as_str().unwrap_or_default().to_owned();
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        let licence = licence(package);
        assert!(!licence.is_empty(), "{name} names no licence");
        assert!(is_met(&licence, &allowed), "{name}: {licence}");
        let source = package["source"].as_str().unwrap();
        let from = source.strip_prefix("registry+").unwrap_or(source);
        assert!(sources.contains(from), "{name} is from {source}");
        assert!(!denied.contains(name), "{name} is banned by deny.toml");
    }
    // A licence that nobody needs is not let in beforehand.
    for one in &allowed {
        let without: BTreeSet<&str> = allowed.iter().copied().filter(|l| l != one).collect();
        let needed = packages.iter().any(|p| !is_met(&licence(p), &without));
        assert!(needed, "nothing needs {one} any more");
    }
}

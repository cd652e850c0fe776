//! The house keeps its own rules: each room names only the rooms it may, pure rooms stay pure, and
//! files stay small enough to hold in the head.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file without its tests and blank lines.
const MOST_LINES: usize = 450;

/// Tables: nothing in them has to be held in the head.
const CATALOGUES: [&str; 1] = ["src/protocol/reference.rs"];

/// Rooms that know no runtime, framework or clock, whatever their files say.
const PURE_ROOMS: [&str; 3] = ["protocol", "websocket", "session"];

/// A room: `src/<name>.rs`, or `src/<name>/` with its files.
struct Room {
    name: String,
    /// The file whose text begins with what the room is.
    head: PathBuf,
    files: Vec<PathBuf>,
}

fn rooms() -> Vec<Room> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rooms = Vec::new();
    for entry in fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if ["lib", "main", "tests"].contains(&name.as_str()) {
            continue;
        }
        let (head, mut files) = if path.is_dir() {
            (path.join("mod.rs"), Vec::new())
        } else {
            (path.clone(), vec![path.clone()])
        };
        collect(&path, &mut files);
        rooms.push(Room { name, head, files });
    }
    assert!(rooms.len() > 10, "the rooms were not found");
    rooms
}

/// Every source file below a folder, but for those that are tests or examples.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let test_modules: BTreeSet<String> = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .flat_map(|path| test_modules(&fs::read_to_string(path).unwrap()))
        .collect();
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        if test_modules.contains(name) || name == "examples" {
        } else if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The modules with a file of their own that are compiled for tests only.
fn test_modules(text: &str) -> Vec<String> {
    let mut lines = text.lines();
    let mut names = Vec::new();
    while lines.any(|line| line == "#[cfg(test)]") {
        for line in lines.by_ref() {
            let path = line.strip_prefix("#[path = \"");
            if let Some(path) = path.and_then(|path| path.strip_suffix(".rs\"]")) {
                names.push(path.to_owned());
            } else if let Some(name) = line.strip_prefix("mod ") {
                names.extend(name.strip_suffix(';').map(str::to_owned));
                break;
            } else if !line.starts_with("#[") {
                break;
            }
        }
    }
    names
}

/// A file's lines without its tests, which stand at the end.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let mut code = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let begins_tests = line == "#[cfg(test)]"
            && lines
                .peek()
                .is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if begins_tests {
            break;
        }
        code.push(line.to_owned());
    }
    code
}

/// A line without its comment.
fn uncommented(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// What a line names behind `crate::`.
fn named(line: &str) -> Vec<&str> {
    line.split("crate::")
        .skip(1)
        .map(|rest| {
            assert!(!rest.starts_with('{'), "name rooms one by one: {line}");
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
        .collect()
}

fn shown(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

#[test]
fn rooms_name_only_the_rooms_they_list() {
    let rooms = rooms();
    let names: BTreeSet<&str> = rooms.iter().map(|room| room.name.as_str()).collect();
    let mut faults = Vec::new();
    for room in &rooms {
        let head = fs::read_to_string(&room.head).unwrap();
        let uses = head
            .lines()
            .filter(|line| line.starts_with("//!"))
            .find_map(|line| line.strip_prefix("//! Uses: "));
        let Some(uses) = uses else {
            faults.push(format!("{} has no line `//! Uses:`", shown(&room.head)));
            continue;
        };
        let mut allowed: BTreeSet<&str> = uses.trim_end_matches('.').split(", ").collect();
        allowed.remove("nothing");
        faults.extend(
            allowed
                .difference(&names)
                .map(|name| format!("{} uses {name}, which is no room", room.name)),
        );
        let mut used = BTreeSet::new();
        for file in &room.files {
            for (number, line) in code(file).iter().enumerate() {
                for name in named(uncommented(line))
                    .into_iter()
                    .filter(|name| names.contains(name))
                {
                    if name != room.name && !allowed.contains(name) {
                        let place = format!("{}:{}", shown(file), number + 1);
                        faults.push(format!("{place} names crate::{name}, not listed in Uses"));
                    }
                    used.insert(name.to_owned());
                }
            }
        }
        faults.extend(
            allowed
                .iter()
                .filter(|name| !used.contains(**name))
                .map(|name| format!("{} lists {name} and does not use it", shown(&room.head))),
        );
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn pure_files_know_no_runtime_framework_or_clock() {
    let mut faults = Vec::new();
    let mut looked_at = 0;
    for room in rooms() {
        for file in &room.files {
            let text = fs::read_to_string(file).unwrap();
            let says_so = text
                .lines()
                .any(|line| line.starts_with("//! Invariant: pure"));
            if !says_so && !PURE_ROOMS.contains(&room.name.as_str()) {
                continue;
            }
            looked_at += 1;
            for (number, line) in code(file).iter().enumerate() {
                for word in [
                    "tokio",
                    "axum",
                    "hyper",
                    "leptos",
                    "Instant::now",
                    "SystemTime",
                    "std::net",
                    "std::fs",
                ] {
                    if uncommented(line).contains(word) {
                        faults.push(format!("{}:{} names {word}", shown(file), number + 1));
                    }
                }
            }
        }
    }
    assert!(looked_at > 12, "only {looked_at} pure files were found");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_are_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = rooms().into_iter().flat_map(|room| room.files).collect();
    collect(&root.join("src/tests"), &mut files);
    collect(&root.join("benches"), &mut files);
    let faults: Vec<String> = files
        .iter()
        .map(|file| (code(file), file))
        .map(|(code, file)| (code.iter().filter(|line| !line.is_empty()).count(), file))
        .filter(|(lines, file)| *lines > MOST_LINES && !CATALOGUES.contains(&&*shown(file)))
        .map(|(lines, file)| format!("{} has {lines} lines: a room is missing", shown(file)))
        .collect();
    assert!(files.len() > 50);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_map_names_every_room() {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let map = fs::read_to_string(lib).unwrap();
    for room in rooms() {
        let declared = format!("pub mod {};", room.name);
        assert!(
            map.contains(&declared),
            "{} is no room of the crate",
            room.name
        );
    }
}

//! `docs/security.md` rests on tests: each that it names is there.

use std::fs;
use std::path::Path;

/// Names such as `limits::origins` that stand as code on the page.
fn named(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let code = page.split('`').skip(1).step_by(2);
    code.filter_map(|text| text.split_once("::"))
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let mut count = 0;
    for (file, test) in named(&page) {
        let places = [format!("src/tests/{file}.rs"), format!("src/{file}.rs")];
        let text = places
            .iter()
            .find_map(|path| fs::read_to_string(root.join(path)).ok());
        let text = text.unwrap_or_else(|| panic!("no file for {file}::{test}"));
        let found = text.contains(&format!("fn {test}(")) && text.contains("#[test]")
            || text.contains(&format!("async fn {test}("));
        assert!(found, "{file}::{test} is no test");
        count += 1;
    }
    assert!(count > 80, "only {count} names were found");
}

#[test]
fn every_row_of_both_lists_is_answered() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let (_, lists) = page.split_once("## C2").unwrap();
    let (faults, checklist) = lists.split_once("## C3").unwrap();
    for (list, most) in [(faults, 40), (checklist, 19)] {
        let rows = list.lines().filter_map(|line| line.strip_prefix("| "));
        let numbers: Vec<u32> = rows
            .filter(|row| row.starts_with(|c: char| c.is_ascii_digit()))
            .flat_map(|row| row.split(" | ").next().unwrap().split(", "))
            .map(|number| number.parse().unwrap())
            .collect();
        assert_eq!(numbers, (1..=most).collect::<Vec<_>>());
    }
}

//! Puts the built page into the release binary, so that it runs from any folder on its own.
//!
//! `cargo leptos build --release --precompress` makes the site before it compiles the gateway.
//! In other builds the table is empty and the files are read from the site folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LEPTOS_SITE_ROOT");
    let var = |name: &str| env::var(name).unwrap_or_default();
    let mut table = String::from("&[\n");
    if env::var_os("CARGO_FEATURE_SSR").is_some() && var("PROFILE") == "release" {
        let site = env::var("LEPTOS_SITE_ROOT").unwrap_or_else(|_| "target/site".to_owned());
        let site = Path::new(&var("CARGO_MANIFEST_DIR")).join(site);
        println!("cargo::rerun-if-changed={}", site.display());
        let mut files = Vec::new();
        if site.is_dir() {
            collect(&site, &mut files)?;
        } else {
            println!(
                "cargo::warning=no built page in {}: use `make build`",
                site.display()
            );
        }
        files.sort();
        for file in files {
            let url: Vec<_> = file
                .strip_prefix(&site)
                .map_err(io::Error::other)?
                .iter()
                .map(|part| part.to_string_lossy())
                .collect();
            let brotli = file.with_added_extension("br");
            let smaller = fs::metadata(&brotli).is_ok_and(|small| {
                fs::metadata(&file).is_ok_and(|plain| small.len() < plain.len())
            });
            let brotli = if smaller {
                format!("Some(include_bytes!({brotli:?}))")
            } else {
                "None".to_owned()
            };
            let _ = writeln!(
                table,
                "    (\"/{}\", include_bytes!({file:?}), {brotli}),",
                url.join("/")
            );
        }
    }
    table.push(']');
    fs::write(Path::new(&var("OUT_DIR")).join("assets.rs"), table)
}

/// Every file that is served: not the compressed siblings, hidden ones or TypeScript's types.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let other = [".br", ".gz", ".d.ts"]
            .iter()
            .any(|end| name.ends_with(end));
        if path.is_dir() {
            collect(&path, files)?;
        } else if !other && !name.starts_with('.') {
            files.push(path);
        }
    }
    Ok(())
}

//! Takes the files of `portal/dist` into the crate: one line of a table for each, with its bytes, its compressed forms where
//! they lie beside it (`cargo xtask portal` makes them), its media type and a name for its contents.
//!
//! Without built pages the table is empty, and whoever works on the Rust side alone needs no Node.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use sha2::{Digest, Sha256};

/// Which endings are served, and as what. Others fail the build: a file that nobody decided about does not get out.
const MEDIA_TYPES: [(&str, &str); 9] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("ico", "image/x-icon"),
    ("txt", "text/plain; charset=utf-8"),
    ("webmanifest", "application/manifest+json"),
];
/// Endings of compressed forms.
const FORMS: [&str; 2] = ["br", "gz"];
/// Letters of the hash in a name, as the bundler writes it: `main-B2dK9_xy.js`.
const HASH_LETTERS: usize = 8;

fn main() -> io::Result<()> {
    let dist = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../../portal/dist");
    // A folder that is not there would make cargo run this each time. An empty one counts as no pages.
    let _ = fs::create_dir_all(&dist);
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    collect(&dist, &dist, &mut files)?;
    files.sort();
    let mut table = String::from("[\n");
    for name in files.iter().filter(|name| !is_form(name)) {
        line(&mut table, &dist, name)?;
    }
    table.push(']');
    fs::write(Path::new(&variable("OUT_DIR")).join("assets.rs"), table)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// Paths relative to `top`, with `/` between the parts. Names with a dot in front are the tools' own.
fn collect(top: &Path, folder: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(top, &path, files)?;
        } else if let Ok(relative) = path.strip_prefix(top) {
            let parts = relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
            files.push(parts.collect::<Vec<_>>().join("/"));
        }
    }
    Ok(())
}

fn is_form(name: &str) -> bool {
    FORMS.iter().any(|form| ending(name) == *form)
}

fn ending(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

fn line(table: &mut String, dist: &Path, name: &str) -> io::Result<()> {
    let Some((_, media_type)) = MEDIA_TYPES.iter().find(|(known, _)| *known == ending(name)) else {
        return Err(io::Error::other(format!(
            "portal/dist/{name}: no media type for it in crates/web-assets/build.rs"
        )));
    };
    let plain = dist.join(name);
    let digest = Sha256::digest(fs::read(&plain)?);
    let tag = data_encoding::BASE64URL_NOPAD.encode(&digest[..15]);
    let form = |form: &str| {
        let path = dist.join(format!("{name}.{form}"));
        if path.exists() { format!("Some(include_bytes!({path:?}))") } else { "None".to_owned() }
    };
    writeln!(
        table,
        "    Asset {{ path: {name:?}, media_type: {media_type:?}, tag: {tag:?}, immutable: {}, plain: include_bytes!({plain:?}), \
         brotli: {}, gzip: {} }},",
        is_hashed(name),
        form("br"),
        form("gz"),
    )
    .map_err(io::Error::other)
}

/// Whether other contents would have another name.
fn is_hashed(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let hash = stem.len().checked_sub(HASH_LETTERS + 1).and_then(|at| stem.get(at..)?.strip_prefix('-'));
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    name.starts_with("assets/") && hash.is_some_and(|hash| hash.chars().all(is_letter))
}

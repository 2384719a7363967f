//! Makes the committed corpus anew: `cargo run --release --manifest-path fuzz/Cargo.toml --example seeds`.
//!
//! Seeds are structures of small volumes with fixed keys, in every state, and the damaged volumes of `fixtures/volumes/bad`:
//! the same bytes each time. Files that are in the corpus for another reason (`regression-*`) are left alone.

#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use fve_format::{KeyPackage, MetadataBlock, MetadataEntry, Value, entry_type};
use keyhaven_fuzz::entries::KINDS;
use keyhaven_fuzz::pack::{ALLOW_SHORT, SEAL_CHECKSUM, SEAL_METADATA, SEAL_RECORDS, pack};
use testkit::volumes::recipe::{Damaged, Recipe};
use testkit::volumes::{SmallVolume, State, bek_file, recovery_password};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut corpus = Corpus { folder: fuzz.join("corpus").into(), files: BTreeSet::new() };
    for (name, state) in State::ALL {
        structures(&mut corpus, name, &SmallVolume::new(state))?;
    }
    damaged(&mut corpus, &fuzz.join("../fixtures/volumes/bad"))?;
    corpus.put("external_key_file", "bek", &bek_file())?;
    corpus.put("typed_text", "recovery-password", recovery_password().to_text().expose().as_bytes())?;
    corpus.put("typed_text", "mistyped", b"042647-302313 590458.071500 554323")?;
    corpus.put("typed_text", "identifier", b"{4967D63B-2E29-4AD8-8399-F6A339E3D001}")?;
    corpus.put("canary", "start", b"FV")?;
    corpus.remove_stale()
}

struct Corpus {
    folder: Box<Path>,
    files: BTreeSet<std::path::PathBuf>,
}

impl Corpus {
    /// Trailing zeros are left out: the targets add what they need.
    fn put(&mut self, target: &str, name: &str, bytes: &[u8]) -> Outcome {
        let folder = self.folder.join(target);
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(name);
        std::fs::write(&path, bytes)?;
        self.files.insert(path);
        Ok(())
    }

    /// Removes seeds that are not made any more, and tells how much is left.
    fn remove_stale(&self) -> Outcome {
        let mut bytes = 0;
        for target in std::fs::read_dir(&self.folder)? {
            for file in std::fs::read_dir(target?.path())? {
                let file = file?;
                let regression = file.file_name().to_string_lossy().starts_with("regression-");
                if !regression && !self.files.contains(&file.path()) {
                    std::fs::remove_file(file.path())?;
                    continue;
                }
                bytes += file.metadata()?.len();
            }
        }
        println!("{} seeds, {} KiB with the regressions", self.files.len(), bytes.div_ceil(1024));
        Ok(())
    }
}

fn trimmed(mut bytes: Vec<u8>) -> Vec<u8> {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

/// One seed for each structure of the volume, and the volume itself.
fn structures(corpus: &mut Corpus, name: &str, volume: &SmallVolume) -> Outcome {
    let at = |place: &str, length: usize| {
        let place = volume.places.get(place).and_then(|places| places.first().copied());
        place.map(|at| volume.disk.bytes(at, length))
    };
    corpus.put("volume_header", name, &volume.disk.bytes(0, 512))?;
    let region_bytes = if volume.state == State::Vista { 0x4000 } else { 0x1_0000 };
    let region = at("copy1", region_bytes).unwrap_or_default();
    let block = MetadataBlock::parse(&region)?;
    corpus.put("metadata_block", name, &trimmed(region))?;
    corpus.put("validation", name, &trimmed(at("validation", 96).unwrap_or_default()))?;
    let mut list = Vec::new();
    for entry in &block.entries {
        entry.encode(&mut list)?;
        entries(corpus, entry)?;
    }
    corpus.put("metadata_entries", name, &list)?;
    let on_write = volume.places.contains_key("descriptor1");
    let target = if on_write { "open_conversion" } else { "open_volume" };
    corpus.put(target, name, &pack(volume, SEAL_METADATA | SEAL_RECORDS))?;
    corpus.put(target, &format!("{name}-checksum"), &pack(volume, SEAL_CHECKSUM))?;
    corpus.put("edit_volume", name, &pack(volume, SEAL_METADATA | SEAL_RECORDS))?;
    let package = KeyPackage { header: block.metadata, entries: block.entries.clone() };
    corpus.put("key_package", name, &package.encode()?)?;
    corpus.put("open_raw", name, &volume.disk.bytes(0, 512))?;
    for (target, place, length) in [
        ("conversion_descriptor", "descriptor1", 0x48),
        ("block_map", "map0", 0x600),
        ("bitmap_record", "map0.record0", 0x200),
        ("conversion_log", "log0", 50),
    ] {
        if let Some(bytes) = at(place, length) {
            corpus.put(target, name, &bytes)?;
        }
    }
    if let (Some(mut record), Some(body)) = (at("log0.record", 32), at("log0.body", 0x800)) {
        record.extend(body);
        corpus.put("conversion_log_record", name, &record)?;
    }
    Ok(())
}

/// An entry and those nested in it, by their kind.
fn entries(corpus: &mut Corpus, entry: &MetadataEntry) -> Outcome {
    if let Some(kind) = KINDS.iter().position(|kind| *kind == entry.value_type) {
        let mut seed = vec![u8::try_from(kind)?];
        seed.extend_from_slice(&entry.data);
        corpus.put("metadata_entry", &format!("kind-{:#04x}-{:#04x}", entry.value_type, entry.entry_type), &seed)?;
    }
    let nested = match entry.value() {
        Ok(Value::Vmk(protector)) => {
            corpus.put("key_protector", &protector.kind().to_string().replace(' ', "-"), &entry.data)?;
            protector.entries
        }
        Ok(Value::StretchKey(salt)) => salt.entries,
        Ok(Value::UseKey(uses)) => uses.entries,
        _ => Vec::new(),
    };
    debug_assert!(entry.entry_type != entry_type::PROTECTOR || !nested.is_empty());
    nested.iter().try_for_each(|entry| entries(corpus, entry))
}

/// The damaged volumes and key files.
fn damaged(corpus: &mut Corpus, folder: &Path) -> Outcome {
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let recipe = Recipe::parse(&name, &std::fs::read_to_string(&path)?)?;
        let short = if recipe.allow_short { ALLOW_SHORT } else { 0 };
        let switches = short
            | match recipe.sealed() {
                Some("hash") => SEAL_METADATA,
                Some("checksum") => SEAL_CHECKSUM,
                Some("records") => SEAL_METADATA | SEAL_RECORDS,
                _ => 0,
            };
        match recipe.make()? {
            Damaged::KeyFile(file) if file.len() > 0x2000 => {}
            Damaged::KeyFile(file) => corpus.put("external_key_file", &name, &file)?,
            Damaged::Volume(volume) => {
                let target = if volume.places.contains_key("descriptor1") { "open_conversion" } else { "open_volume" };
                let input = pack(&volume, switches);
                // Long ones, with thousands of entries or a log, add nothing that the states do not have.
                if input.len() <= 0x1200 {
                    corpus.put(target, &name, &input)?;
                }
            }
        }
    }
    Ok(())
}

//! Makes the committed corpus anew: `cargo run --release --manifest-path fuzz/Cargo.toml --example seeds`.
//!
//! Seeds are structures of small volumes with fixed keys, in every state, and the damaged volumes of `fixtures/volumes/bad`:
//! the same bytes each time. Files that are in the corpus for another reason (`regression-*`) are left alone.

#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use fve_format::in_place::{FsWrite, encode_writes};
use fve_format::{KeyPackage, MetadataBlock, MetadataEntry, Value, entry_type};
use keyhaven_fuzz::entries::KINDS;
use keyhaven_fuzz::in_place;
use keyhaven_fuzz::pack::{ALLOW_SHORT, SEAL_CHECKSUM, SEAL_METADATA, SEAL_RECORDS, pack};
use keyhaven_fuzz::reserve::{Kind, reserve};
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
    let converting = in_place::parts(&in_place::half_converted());
    corpus.put("open_in_place", "half-decrypted", &trimmed(converting.clone()))?;
    for (name, range) in [("header", 0..0x200), ("journal", 0x200..0x600), ("record", 0x600..0x800)] {
        corpus.put("in_place", name, &converting[range])?;
    }
    let write = FsWrite { offset_bytes: 0x1000, bytes: vec![7; 20] };
    corpus.put("in_place", "writes", &encode_writes(&[write.clone(), write])?)?;
    corpus.put("external_key_file", "bek", &bek_file())?;
    corpus.put("typed_text", "recovery-password", recovery_password().to_text().expose().as_bytes())?;
    corpus.put("typed_text", "mistyped", b"042647-302313 590458.071500 554323")?;
    corpus.put("typed_text", "identifier", b"{4967D63B-2E29-4AD8-8399-F6A339E3D001}")?;
    exports(&mut corpus, &fuzz.join("../fixtures/imports"))?;
    corpus.put("canary", "start", b"FV")?;
    file_systems(&mut corpus)?;
    corpus.remove_stale()
}

/// Exports of keys as tools and services write them.
fn exports(corpus: &mut Corpus, folder: &Path) -> Outcome {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "README.md" && name != "expected.json" {
            corpus.put("key_import", &name, &std::fs::read(&path)?)?;
        }
    }
    Ok(())
}

/// File systems as their own programs make them, with numbers and times that differ each time: those that are there stay.
fn file_systems(corpus: &mut Corpus) -> Outcome {
    const MIB: usize = 1 << 20;
    let made: [(&str, &str, usize, &[&str]); 5] = [
        ("reserve_fat", "fat12", 2 * MIB, &["/usr/sbin/mkfs.fat", "-F", "12"]),
        ("reserve_fat", "fat16", 8 * MIB, &["/usr/sbin/mkfs.fat", "-F", "16", "-s", "1"]),
        ("reserve_fat", "fat32", 34 * MIB, &["/usr/sbin/mkfs.fat", "-F", "32", "-s", "1"]),
        ("reserve_exfat", "exfat", 8 * MIB, &["/usr/sbin/mkfs.exfat"]),
        ("reserve_ntfs", "ntfs", 4 * MIB, &["/usr/sbin/mkntfs", "-F", "-Q", "-q", "-T"]),
    ];
    for (target, name, length, words) in made {
        let path = corpus.folder.join(target).join(name);
        let kind = match target {
            "reserve_fat" => Kind::Fat,
            "reserve_exfat" => Kind::ExFat,
            _ => Kind::Ntfs,
        };
        if path.exists() {
            // A seed that leads nowhere would not be noticed otherwise.
            assert!(reserve(&std::fs::read(&path)?, kind), "nothing can be reserved in {name}");
            corpus.files.insert(path);
            continue;
        }
        let image = std::env::temp_dir().join(format!("keyhaven-seed-{name}"));
        std::fs::File::create(&image)?.set_len(length as u64)?;
        let output = std::process::Command::new(words[0]).args(&words[1..]).arg(&image).output()?;
        let bytes = std::fs::read(&image)?;
        std::fs::remove_file(&image)?;
        if !output.status.success() {
            return Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let seed = keyhaven_fuzz::reserve::pack(&bytes, &letters(&bytes));
        assert!(reserve(&seed, kind), "nothing can be reserved in {name}");
        corpus.put(target, name, &seed)?;
    }
    Ok(())
}

/// The table of upper-case letters of NTFS: 128 KiB that are not looked at here.
fn letters(image: &[u8]) -> Vec<std::ops::Range<usize>> {
    let table = fs_view::FileSystem::open(block_io::MemoryDisk::new(image.to_vec()))
        .and_then(|volume| volume.ntfs_stream(10, ""))
        .ok()
        .flatten();
    let piece = table.and_then(|table| table.piece_at(0));
    let place = piece.and_then(|piece| Some((piece.place_bytes?, piece.length_bytes)));
    let range = |(start, length): (u64, u64)| Some(usize::try_from(start).ok()?..usize::try_from(start + length).ok()?);
    place.and_then(range).into_iter().collect()
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

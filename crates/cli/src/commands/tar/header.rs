//! Headers of the POSIX format (pax): a block of fixed fields, before it a record for what does not fit into them.

use std::time::{SystemTime, UNIX_EPOCH};

use fs_view::Entry;
use tar::{Builder, EntryType, Header};

/// Bytes of a name and of a link's target in the block.
const NAME_BYTES: usize = 100;
/// Sizes have eleven octal digits.
const MAX_SIZE: u64 = 0o777_7777_7777;

/// Everything that stands before the content of an entry. Names are relative and without `..` by the rules of `fs-view`.
pub(super) fn of(name: &str, entry: &Entry, kind: EntryType, size_bytes: u64, target: Option<&str>) -> Vec<u8> {
    let name = if kind == EntryType::Directory { format!("{name}/") } else { name.to_owned() };
    let mut records: Vec<(&str, String)> = Vec::new();
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(match kind {
        EntryType::Directory => 0o755,
        EntryType::Symlink => 0o777,
        _ if entry.attributes.read_only() => 0o444,
        _ => 0o644,
    });
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size_bytes.min(MAX_SIZE));
    if size_bytes > MAX_SIZE {
        records.push(("size", size_bytes.to_string()));
    }
    let (seconds, exact) = time(entry.modified.unwrap_or(UNIX_EPOCH));
    header.set_mtime(seconds);
    records.extend(exact.map(|exact| ("mtime", exact)));
    put(&mut header.as_old_mut().name, "path", &name, &mut records);
    if let Some(target) = target {
        put(&mut header.as_old_mut().linkname, "linkpath", target, &mut records);
    }
    header.set_cksum();
    let mut bytes = extended(&records);
    bytes.extend_from_slice(header.as_bytes());
    bytes
}

/// Seconds since 1970, and the exact time where that is not all of it.
fn time(time: SystemTime) -> (u64, Option<String>) {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) if since.subsec_nanos() == 0 => (since.as_secs(), None),
        Ok(since) => (since.as_secs(), Some(format!("{}.{:09}", since.as_secs(), since.subsec_nanos()))),
        Err(before) => {
            let before = before.duration();
            (0, Some(format!("-{}.{:09}", before.as_secs(), before.subsec_nanos())))
        }
    }
}

/// Puts a name into its field, and into a record where it does not fit or is not plain ASCII.
fn put(field: &mut [u8; NAME_BYTES], key: &'static str, text: &str, records: &mut Vec<(&'static str, String)>) {
    // Readers that do not know the record get something like it.
    let plain = |letter: char| u8::try_from(letter).ok().filter(u8::is_ascii).unwrap_or(b'_');
    for (byte, letter) in field.iter_mut().zip(text.chars()) {
        *byte = plain(letter);
    }
    if !text.is_ascii() || text.len() > NAME_BYTES {
        records.push((key, text.to_owned()));
    }
}

/// The record as an entry of its own; nothing where there is none.
fn extended(records: &[(&str, String)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    let written = builder.append_pax_extensions(records.iter().map(|(key, value)| (*key, value.as_bytes())));
    debug_assert!(written.is_ok(), "memory takes everything");
    std::mem::take(builder.get_mut())
}

//! Created volumes against those of Windows, field by field: what `docs/format/created-volumes.md` says is true.
//!
//! Every row of its table is checked, and every field has a row. `same`: the bytes are equal to those of every Windows
//! volume looked at. `own`: no two volumes have the same. `differs`: never equal. `varies`: equal to some of them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

use block_io::{BlockRead, BlockWrite, FileDisk};
use fve::{CreateOptions, EncryptionMethod, Filetime, NewVolume, Placement};
use fve_format::{
    METADATA_REGION_BYTES, MetadataBlock, MetadataEntry, Value, VolumeHeader, entry_type, parse_entries, value_type,
};
use secret::{RecoveryPassword, SecretString};

/// As large as those of the corpus, so that what follows from the size can be compared.
const VOLUME_BYTES: u64 = 100 << 20;
/// Volumes of Windows 10 and 11 with a password and a recovery password, finished, and how ours are made to be like them.
const PAIRS: [(&str, EncryptionMethod, u32); 4] = [
    ("bitlk-aes-xts-128", EncryptionMethod::AesXts128, 512),
    ("bitlk-aes-cbc-128", EncryptionMethod::AesCbc128, 512),
    ("bitlk-aes-xts-128-4k", EncryptionMethod::AesXts128, 4096),
    ("bitlk-aes-xts-128-new-entry", EncryptionMethod::AesXts128, 512),
];

type Fields = BTreeMap<String, String>;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(disk: &impl BlockRead, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    disk.read_exact_at(offset, &mut bytes).unwrap();
    bytes
}

/// Types, flags and lengths of entries, with those inside.
fn shape(entry: &MetadataEntry) -> String {
    let inner = match entry.value() {
        Ok(Value::StretchKey(stretch)) => stretch.entries,
        Ok(Value::UseKey(key)) => key.entries,
        _ => Vec::new(),
    };
    let inner: Vec<String> = inner.iter().map(shape).collect();
    let (role, kind, flags) = (entry.entry_type, entry.value_type, entry.flags);
    let length = if entry.value_type == value_type::UNICODE { 0 } else { entry.encoded_bytes() };
    let inner = if inner.is_empty() { String::new() } else { format!(" [{}]", inner.join(" ")) };
    format!("{role:x}/{kind:x}/{flags:x}/{length:x}{inner}")
}

fn fields(disk: &impl BlockRead) -> Fields {
    let mut fields = Fields::new();
    let sector = read(disk, 0, 512);
    let boot = [
        ("jump", 0x00, 0x03),
        ("signature", 0x03, 0x0B),
        ("bytes per sector", 0x0B, 0x0D),
        ("sectors per cluster", 0x0D, 0x0E),
        ("reserved sectors to sectors16", 0x0E, 0x15),
        ("media", 0x15, 0x16),
        ("sectors per FAT, 16 bits", 0x16, 0x18),
        ("geometry", 0x18, 0x1C),
        ("hidden sectors", 0x1C, 0x20),
        ("sectors, 32 bits", 0x20, 0x24),
        ("sectors per FAT, 32 bits", 0x24, 0x28),
        ("flags, version, root", 0x28, 0x30),
        ("info and backup sector", 0x30, 0x34),
        ("zeros", 0x34, 0x40),
        ("drive number", 0x40, 0x43),
        ("serial", 0x43, 0x47),
        ("label", 0x47, 0x52),
        ("type", 0x52, 0x5A),
        ("boot code", 0x5A, 0xA0),
        ("identifier", 0xA0, 0xB0),
        ("first metadata offset", 0xB0, 0xB8),
        ("other metadata offsets", 0xB8, 0xC8),
        ("encrypt-on-write offsets", 0xC8, 0xD8),
        ("messages", 0xD8, 0x1FE),
        ("end mark", 0x1FE, 0x200),
    ];
    let mut put = |name: String, value: String| assert!(fields.insert(name.clone(), value).is_none(), "{name} twice");
    for (name, start, end) in boot {
        put(format!("boot: {name}"), hex(&sector[start..end]));
    }
    let header = VolumeHeader::parse(&sector).unwrap();
    let offsets = header.metadata_offsets.map(Option::unwrap);
    let regions = offsets.map(|offset| read(disk, offset, METADATA_REGION_BYTES));
    put("regions: all equal".into(), regions.iter().all(|region| region == &regions[0]).to_string());
    let region = &regions[0];
    let block_bytes = usize::from(u16::from_le_bytes([region[8], region[9]])) * 16;
    put(
        "regions: zeros behind the validation".into(),
        region[block_bytes + 88..].iter().all(|byte| *byte == 0).to_string(),
    );
    put("regions: order".into(), (offsets[0] < offsets[1] && offsets[1] < offsets[2]).to_string());
    put("regions: multiples of 4096".into(), offsets.iter().all(|offset| offset % 4096 == 0).to_string());

    let block = MetadataBlock::parse(region).unwrap();
    let info = [
        ("signature", 0x00, 0x08),
        ("version", 0x0A, 0x0C),
        ("state and next state", 0x0C, 0x10),
        ("encrypted bytes", 0x10, 0x18),
        ("conversion bytes", 0x18, 0x1C),
        ("header sectors", 0x1C, 0x20),
        ("header offset", 0x38, 0x40),
        ("dataset version", 0x44, 0x48),
        ("dataset start", 0x48, 0x4C),
        ("identifier", 0x50, 0x60),
        ("method", 0x64, 0x66),
        ("created", 0x68, 0x70),
    ];
    for (name, start, end) in info {
        put(format!("block: {name}"), hex(&region[start..end]));
    }
    let size = disk.geometry().length_bytes;
    put("block: encrypted bytes are the volume".into(), (block.header.encrypted_bytes == size).to_string());
    put("block: offsets are those of the boot sector".into(), (block.header.metadata_offsets == offsets).to_string());
    put("block: dataset end is its size".into(), (region[0x40..0x44] == region[0x4C..0x50]).to_string());
    put("block: preferred method is the method".into(), (region[0x64..0x66] == region[0x66..0x68]).to_string());
    let counter = |entry: &MetadataEntry| u32::from_le_bytes(entry.data[8..12].try_into().unwrap());
    let validation = parse_entries(&region[block_bytes + 8..block_bytes + 88], 0).unwrap();
    put("block: next nonce is behind that of the validation".into(), {
        (block.metadata.next_nonce == counter(&validation[0]) + 1).to_string()
    });

    let name = |entry: &MetadataEntry| match entry.entry_type {
        entry_type::DESCRIPTION => "description",
        entry_type::PROTECTOR => "protector",
        entry_type::FVEK => "FVEK",
        entry_type::VIRTUALIZATION => "virtualization",
        _ => "other",
    };
    put("entries: order".into(), block.entries.iter().map(name).collect::<Vec<_>>().join(", "));
    for entry in block.entries.iter().filter(|entry| !matches!(name(entry), "protector" | "other")) {
        put(format!("{}: type, flags, length", name(entry)), shape(entry));
    }
    put("description: text".into(), block.description().unwrap());
    for protector in block.protectors().iter().filter(|one| matches!(one.protection, 0x2000 | 0x0800)) {
        let kind = protector.kind();
        put(format!("{kind}: identifier"), protector.identifier.to_string());
        put(format!("{kind}: modified"), hex(&protector.modified.0.to_le_bytes()));
        put(format!("{kind}: hints and protection"), format!("{:x} {:x}", protector.hints, protector.protection));
        let entries: Vec<String> = protector.entries.iter().map(shape).collect();
        put(format!("{kind}: entries"), entries.join(" "));
    }
    let virtualization = block.virtualization().unwrap();
    let behind = virtualization.offset_bytes + virtualization.length_bytes;
    put("virtualization: length".into(), virtualization.length_bytes.to_string());
    put("virtualization: offset is that of the block".into(), {
        (virtualization.offset_bytes == block.header.header_offset_bytes).to_string()
    });
    let extension = &virtualization.extension;
    let parts = [
        ("version and size", 0, 4),
        ("wipe files", 4, 8),
        ("flags", 8, 16),
        ("conversion log", 16, 28),
        ("sector sizes", 28, 36),
        ("system major, minor", 36, 44),
        ("system build", 44, 48),
        ("platform to architecture", 48, 60),
        ("verify size", 68, 76),
    ];
    for (name, start, end) in parts {
        put(format!("virtualization: {name}"), hex(&extension[start..end]));
    }
    let verify = u64::from_le_bytes(extension[60..68].try_into().unwrap());
    put("virtualization: verify region is behind the header".into(), (verify == behind).to_string());
    let validation_head = &region[block_bytes..block_bytes + 4];
    let spans = usize::from(u16::from_le_bytes([validation_head[0], validation_head[1]])) + block_bytes;
    put("validation: spans to the end of the region".into(), (spans == METADATA_REGION_BYTES).to_string());
    put("validation: version".into(), hex(&validation_head[2..]));
    put("validation: entry".into(), shape(&validation[0]));
    put("validation: nonce time".into(), hex(&validation[0].data[..8]));
    fields
}

/// A volume with a file system of 4 KiB clusters that begins at sector 128, as those of the corpus do.
fn made(path: &Path, method: EncryptionMethod, sector_bytes: u32) -> Fields {
    let disk = FileDisk::create_new(path, VOLUME_BYTES).unwrap();
    let options = CreateOptions {
        method,
        description: "COMPUTER LABEL 2026-11-25".to_owned(),
        now: Filetime::from_system_time_ms(SystemTime::now()),
        recovery_password: RecoveryPassword::random(),
        password: Some(SecretString::from("compared with others")),
        placement: Placement::choose(VOLUME_BYTES, 4096, 0).unwrap(),
    };
    let new = NewVolume::begin_with_sectors(&disk, &options, sector_bytes).unwrap();
    let mut boot = [0; 512];
    boot[..11].copy_from_slice(b"\xEB\x52\x90NTFS    ");
    boot[11..13].copy_from_slice(&u16::try_from(sector_bytes).unwrap().to_le_bytes());
    boot[13] = u8::try_from(4096 / sector_bytes).unwrap();
    boot[0x15] = 0xF8;
    boot[0x18..0x1E].copy_from_slice(&[0x3F, 0, 0xFF, 0, 0x80, 0]);
    boot[510..].copy_from_slice(&[0x55, 0xAA]);
    new.volume().write_all_at(0, &boot).unwrap();
    new.finish().unwrap();
    fields(&disk)
}

/// What the rows of the document say of each field.
fn documented() -> BTreeMap<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format/created-volumes.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        Some((name.to_owned(), cells.next()?.to_owned()))
    });
    rows.collect()
}

#[test]
fn the_document_says_what_is_so() {
    let Some(corpus) = testkit::corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut compared: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (name, method, sector_bytes) in PAIRS {
        let ours = made(&folder.path().join(name), method, sector_bytes);
        let theirs = fields(&FileDisk::open(&corpus.join(format!("{name}.img"))).unwrap());
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        for field in names {
            let value = |fields: &Fields| fields.get(field).cloned().unwrap_or_else(|| "absent".to_owned());
            compared.entry(field.clone()).or_default().push((value(&ours), value(&theirs)));
        }
    }
    let documented = documented();
    let mut wrong = Vec::new();
    for (field, pairs) in &compared {
        let equal = pairs.iter().filter(|(ours, theirs)| ours == theirs).count();
        let mut all: Vec<&String> = pairs.iter().flat_map(|(ours, theirs)| [ours, theirs]).collect();
        all.sort();
        all.dedup();
        let truth = match equal {
            equal if equal == pairs.len() => "same",
            0 if all.len() == 2 * pairs.len() => "own",
            0 => "differs",
            _ => "varies",
        };
        let says = documented.get(field).map_or("nothing", String::as_str);
        if says != truth {
            wrong.push(format!("{field}: {truth}, the document says {says}: {pairs:?}"));
        }
    }
    wrong.extend(
        documented.keys().filter(|field| !compared.contains_key(*field)).map(|field| format!("{field}: no such field")),
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

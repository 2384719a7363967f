//! Recipes: one damaged volume each, as a few lines of text over a [`SmallVolume`].
//!
//! ```text
//! # What is wrong, and what it could do to a reader that believes it.
//! base: encrypted
//! with: protectors 65
//! set: copies+0x08 u16 0
//! bytes: entry.fvek+8 00 ff
//! fill: copy2+0x400 1000 0
//! length: 1000000
//! seal: hash
//! expect: unlock: the text of the error
//! ```
//!
//! `base` names a [`State`], or `bek` for a key file. `with` changes the entries before they are sealed. `set`, `bytes`
//! and `fill` write little-endian numbers, bytes or a run of one byte at a place with an offset. `seal` makes checksums
//! fit again afterwards: of the metadata (`checksum`), its hash too (`hash`), or of the records of a conversion
//! (`records`).

use fve_format::{KeyProtector, MetadataEntry, ProtectorKind, Value, entry_type, key_type, value_type};

use super::entries::{vmk, wrapped};
use super::{SmallVolume, State, bek_file, seal};

/// What shall come of a damaged volume or key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// It opens, and its content is right; the number of the copy in use counts from 1.
    Opens {
        /// Which copy.
        copy: usize,
    },
    /// Opening fails with this text.
    Open(String),
    /// It opens, and these 512 bytes of the plain volume are zeros.
    Zeros(u64),
    /// It opens, and reading its content fails with this text.
    Read(String),
    /// Opening fails because no copy can be used; this is what is wrong with the three, or with each of them.
    Copies(Vec<String>),
    /// It opens, and unlocking fails with this text.
    Unlock(String),
    /// It is a key file, and parsing fails with this text.
    KeyFile(String),
}

/// What to open it with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// The clear key, which costs nothing to try.
    ClearKey,
    /// The 48 digits.
    RecoveryPassword,
    /// The `.BEK` file.
    ExternalKey,
}

/// One damaged volume.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Subject and defect: the name of its file.
    pub name: String,
    /// What shall come of it.
    pub expect: Expect,
    /// What to open it with.
    pub secret: Secret,
    /// Whether storage that ends too early is accepted.
    pub allow_short: bool,
    lines: Vec<(String, String)>,
}

/// What a recipe gives.
pub enum Damaged {
    /// A volume.
    Volume(Box<SmallVolume>),
    /// A `.BEK` file.
    KeyFile(Vec<u8>),
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// The line that cannot be understood.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once(':').ok_or_else(|| format!("{name}: {line}"))?;
            lines.push((key.trim().to_owned(), value.trim().to_owned()));
        }
        let one = |wanted: &str| lines.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
        let expect = one("expect").and_then(parse_expect).ok_or_else(|| format!("{name}: what is expected?"))?;
        let secret = match one("secret") {
            None => Secret::ClearKey,
            Some("recovery password") => Secret::RecoveryPassword,
            Some("external key") => Secret::ExternalKey,
            Some(other) => return Err(format!("{name}: no secret {other}")),
        };
        let allow_short = one("allow-short") == Some("yes");
        Ok(Self { name: name.to_owned(), expect, secret, allow_short, lines })
    }

    /// Makes what the recipe says.
    ///
    /// # Errors
    /// The line that cannot be carried out.
    pub fn make(&self) -> Result<Damaged, String> {
        let base = self.values("base").next().unwrap_or_default();
        if base == "bek" {
            let mut file = bek_file();
            for (key, value) in &self.lines {
                self.change_bytes(key, value, &mut file)?;
            }
            return Ok(Damaged::KeyFile(file));
        }
        let state = State::ALL.into_iter().find(|(name, _)| *name == base).map(|(_, state)| state);
        let state = state.ok_or_else(|| format!("{}: no base {base}", self.name))?;
        let mut failed = None;
        let mut volume = SmallVolume::with_entries(state, |entries| {
            for value in self.values("with") {
                if change_entries(entries, value).is_none() {
                    failed = Some(format!("{}: with: {value}", self.name));
                }
            }
        });
        for (key, value) in &self.lines {
            self.change_volume(key, value, &mut volume).ok_or_else(|| format!("{}: {key}: {value}", self.name))?;
        }
        failed.map_or_else(|| Ok(Damaged::Volume(Box::new(volume))), Err)
    }

    /// How it was sealed after it was damaged: `checksum`, `hash`, `records`. A change of the entries alone is sealed, too.
    #[must_use]
    pub fn sealed(&self) -> Option<&str> {
        let damaged = self.lines.iter().any(|(key, _)| matches!(key.as_str(), "set" | "bytes" | "fill"));
        self.values("seal").last().or(if damaged { None } else { Some("hash") })
    }

    fn values<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |(key, _)| key == wanted).map(|(_, value)| value.as_str())
    }

    /// `None` where the line makes no sense.
    fn change_volume(&self, key: &str, value: &str, volume: &mut SmallVolume) -> Option<()> {
        match key {
            "set" | "bytes" | "fill" => {
                let (place, bytes) = parse_change(key, value)?;
                let (name, inside) = place.split_once('+').map_or((place, Some(0)), |(name, at)| (name, number(at)));
                for at in volume.places.get(name)? {
                    volume.disk.put(at.checked_add(inside?)?, &bytes);
                }
            }
            "length" => volume.disk = volume.disk.resized(number(value)?),
            "seal" => seal_volume(value, volume)?,
            "base" | "with" | "expect" | "secret" | "allow-short" => {}
            _ => return None,
        }
        Some(())
    }

    fn change_bytes(&self, key: &str, value: &str, file: &mut Vec<u8>) -> Result<(), String> {
        let bad = || format!("{}: {key}: {value}", self.name);
        match key {
            "set" | "bytes" | "fill" => {
                let (place, bytes) = parse_change(key, value).ok_or_else(bad)?;
                let at = place.strip_prefix("file+").and_then(number).ok_or_else(bad)?;
                let at = usize::try_from(at).map_err(|_| bad())?;
                file.resize(file.len().max(at + bytes.len()), 0);
                file[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            "length" => file.resize(number(value).and_then(|length| usize::try_from(length).ok()).ok_or_else(bad)?, 0),
            "base" | "expect" => {}
            _ => return Err(bad()),
        }
        Ok(())
    }
}

fn parse_expect(value: &str) -> Option<Expect> {
    if value == "opens" {
        return Some(Expect::Opens { copy: 1 });
    }
    let (kind, text) = value.split_once(':')?;
    let text = text.trim().to_owned();
    Some(match kind {
        "opens" => Expect::Opens { copy: text.strip_prefix("copy ")?.parse().ok()? },
        "open" => Expect::Open(text),
        "copies" => Expect::Copies(text.split(" | ").map(str::to_owned).collect()),
        "zeros" => Expect::Zeros(number(&text)?),
        "read" => Expect::Read(text),
        "unlock" => Expect::Unlock(text),
        "key file" => Expect::KeyFile(text),
        _ => return None,
    })
}

/// Decimal, or hexadecimal with `0x`.
fn number(text: &str) -> Option<u64> {
    let digits = text.replace('_', "");
    digits.strip_prefix("0x").map_or_else(|| digits.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok())
}

/// The place and the bytes that go there.
fn parse_change<'a>(key: &str, value: &'a str) -> Option<(&'a str, Vec<u8>)> {
    let words: Vec<&str> = value.split_whitespace().collect();
    let (place, rest) = words.split_first()?;
    let bytes = match (key, rest) {
        ("set", [width, value]) => {
            let width = usize::from(width.strip_prefix('u')?.parse::<u8>().ok()?) / 8;
            number(value)?.to_le_bytes().get(..width)?.to_vec()
        }
        ("bytes", bytes) => bytes.iter().map(|byte| u8::from_str_radix(byte, 16).ok()).collect::<Option<_>>()?,
        ("fill", [count, value]) => {
            vec![u8::try_from(number(value)?).ok()?; usize::try_from(number(count)?).ok()?]
        }
        _ => return None,
    };
    Some((place, bytes))
}

/// Makes checksums fit in everything that was changed and in what was not.
fn seal_volume(kind: &str, volume: &SmallVolume) -> Option<()> {
    let each = |name: &str, length: usize, seal: &dyn Fn(&mut [u8])| {
        for at in volume.places.get(name).into_iter().flatten() {
            let mut bytes = volume.disk.bytes(*at, length);
            seal(&mut bytes);
            volume.disk.put(*at, &bytes);
        }
    };
    match kind {
        "checksum" => each("copies", 0x1_0000, &seal::checksum),
        "hash" => each("copies", 0x1_0000, &seal::hash),
        "records" => {
            each("descriptors", 4096, &seal::descriptor);
            for map in ["map0", "map1"] {
                each(map, 0x1000, &seal::block_map);
            }
            for record in ["log0.record", "log1.record"] {
                each(record, 0x2000, &|bytes| seal::log_record(bytes, 512));
            }
        }
        _ => return None,
    }
    Some(())
}

/// Changes entries by name; `None` where the change makes no sense.
fn change_entries(entries: &mut Vec<MetadataEntry>, change: &str) -> Option<()> {
    let words: Vec<&str> = change.split_whitespace().collect();
    match words[..] {
        // Entries without data.
        ["entries", count] => {
            let entry = MetadataEntry::stored(0x7F, 0x14, Vec::new());
            entries.extend(std::iter::repeat_n(entry, usize::try_from(number(count)?).ok()?));
        }
        // One entry inside the other.
        ["nested", depth] => {
            let mut entry = MetadataEntry::use_key(0, &[]).ok()?;
            for _ in 0..number(depth)? {
                entry = MetadataEntry::use_key(0, &[entry]).ok()?;
            }
            entries.push(entry);
        }
        // Recovery protectors, each of which costs a second to try.
        ["protectors", count] => {
            let wrong = wrapped(&vmk(), 8, 0, key_type::VMK, &[0; 32]);
            let salt = MetadataEntry::stretch_key(key_type::RECOVERY_KEY, &[1; 16], &[]).ok()?;
            for index in 0..number(count)? {
                let mut identifier = [9; 16];
                identifier[..8].copy_from_slice(&index.to_le_bytes());
                let protector = KeyProtector {
                    identifier: fve_format::Guid::from_bytes(identifier),
                    modified: super::CREATED,
                    hints: 0,
                    protection: ProtectorKind::RecoveryPassword.protection(),
                    entries: vec![salt.clone(), wrong.clone()],
                };
                entries.push(protector.to_entry().ok()?);
            }
        }
        ["remove", name] => {
            let wanted = entry_number(name)?;
            entries.retain(|entry| entry.entry_type != wanted);
        }
        // The volume encryption key as another type, or with another length.
        ["fvek", kind, length] => {
            let key = vec![0x5A; usize::try_from(number(length)?).ok()?];
            let entry = entries.iter_mut().find(|entry| entry.entry_type == entry_type::FVEK)?;
            *entry = wrapped(&vmk(), 10, entry_type::FVEK, u16::try_from(number(kind)?).ok()?, &key);
        }
        // The same for the volume master key under the clear key.
        ["vmk", kind, length] => {
            let key = vec![0x11; usize::try_from(number(length)?).ok()?];
            let kind = u16::try_from(number(kind)?).ok()?;
            change_clear_key(entries, |protector| {
                let clear = secret::SecretBytes::from_fn(|key| *key = [0x22; 32]);
                let wrapped = wrapped(&clear, 2, entry_type::PROPERTY, kind, &key);
                protector.entries.retain(|entry| entry.value_type != value_type::AES_CCM);
                protector.entries.push(wrapped);
            })?;
        }
        ["clear-key", "without", kind] => {
            let kind = u16::try_from(number(kind)?).ok()?;
            change_clear_key(entries, |protector| protector.entries.retain(|entry| entry.value_type != kind))?;
        }
        // The clear key, or the wrapped key beside it, cut to a length.
        ["clear-key", "length" | "wrapped", length] => {
            let (kind, fixed) = if words[1] == "length" { (value_type::KEY, 4) } else { (value_type::AES_CCM, 0) };
            let length = fixed + usize::try_from(number(length)?).ok()?;
            change_clear_key(entries, |protector| {
                let chosen = protector.entries.iter_mut().filter(|entry| entry.value_type == kind);
                chosen.for_each(|entry| entry.data.truncate(length));
            })?;
        }
        ["clear-key", "truncated", length] => {
            let length = usize::try_from(number(length)?).ok()?;
            let entry = entries.iter_mut().find(|entry| entry.entry_type == entry_type::PROTECTOR)?;
            entry.data.truncate(length);
        }
        ["description", ..] => {
            let data = words[1..].iter().map(|byte| u8::from_str_radix(byte, 16).ok()).collect::<Option<Vec<_>>>()?;
            let entry = entries.iter_mut().find(|entry| entry.entry_type == entry_type::DESCRIPTION)?;
            *entry = MetadataEntry::stored(entry_type::DESCRIPTION, value_type::UNICODE, data);
        }
        _ => return None,
    }
    Some(())
}

fn entry_number(name: &str) -> Option<u16> {
    Some(match name {
        "protector" => entry_type::PROTECTOR,
        "fvek" => entry_type::FVEK,
        "virtualization" => entry_type::VIRTUALIZATION,
        "description" => entry_type::DESCRIPTION,
        _ => return None,
    })
}

fn change_clear_key(entries: &mut [MetadataEntry], change: impl FnOnce(&mut KeyProtector)) -> Option<()> {
    for entry in entries {
        let protector = match entry.value() {
            Ok(Value::Vmk(protector)) if protector.kind() == ProtectorKind::ClearKey => Some(protector),
            _ => None,
        };
        if let Some(mut protector) = protector {
            change(&mut protector);
            *entry = protector.to_entry().ok()?;
            return Some(());
        }
    }
    None
}

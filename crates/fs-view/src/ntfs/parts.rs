//! Attributes that are spread over several records.
//!
//! When the attributes of a file do not fit into its record, a list in that record tells in which others they are. A long
//! list of clusters is cut into parts this way, each beginning where the one before ends.

use super::Ntfs;
use super::record::{Attribute, NonResident, Record, Value, types};
use super::runs;
use crate::Error;
use crate::bytes::{index, slice_at, u8_at, u16_at, u64_at, units};
use crate::cache::Source;
use crate::content::Content;
use crate::extents::Extents;
use crate::path::fold;

/// Windows keeps lists below this.
const MAX_LIST_BYTES: u64 = 256 * 1024;
/// An entry with its name.
const MIN_ENTRY_BYTES: usize = 26;

/// One line of an attribute list.
pub(super) struct Listed {
    ty: u32,
    name: String,
    lowest_vcn: u64,
    record: u64,
    sequence: u16,
}

impl Listed {
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let length = usize::from(u16_at(bytes, 4)?);
        let name = slice_at(bytes, u8_at(bytes, 7)?.into(), 2 * usize::from(u8_at(bytes, 6)?))?;
        let reference = u64_at(bytes, 16)?;
        let listed = Self {
            ty: crate::bytes::u32_at(bytes, 0)?,
            name: String::from_utf16_lossy(&units(name)),
            lowest_vcn: u64_at(bytes, 8)?,
            record: reference & 0xFFFF_FFFF_FFFF,
            sequence: u16_at(bytes, 22)?,
        };
        (length >= MIN_ENTRY_BYTES && length <= bytes.len()).then_some((listed, length))
    }
}

/// What an attribute of several parts amounts to, built up part by part.
#[derive(Default)]
struct Gathered {
    first: Option<First>,
    resident: Option<Vec<u8>>,
    extents: Extents,
}

/// What only the first part tells.
struct First {
    size: u64,
    initialized: u64,
    unit_exponent: u8,
    compressed: bool,
}

impl Ntfs {
    /// The attribute list of a record, where it has one.
    pub(super) fn list_of(&self, source: Source<'_>, record: &Record) -> Result<Option<Vec<Listed>>, Error> {
        let Some(attribute) = record.unnamed(types::ATTRIBUTE_LIST)? else { return Ok(None) };
        let mut gathered = Gathered::default();
        gathered.add(&attribute, self.cluster_bytes())?;
        let content = gathered.finish(self.cluster_bytes(), source.length())?;
        if content.size() > MAX_LIST_BYTES {
            return Err(Error::damaged("an attribute list is too long"));
        }
        let mut bytes = vec![0; index(content.size())];
        content.read_exact_at(source, 0, &mut bytes)?;
        let (mut listed, mut rest) = (Vec::new(), &bytes[..]);
        while rest.len() >= MIN_ENTRY_BYTES {
            let parsed = Listed::parse(rest);
            let (entry, length) = parsed.ok_or_else(|| Error::damaged("an attribute list leads outside of itself"))?;
            listed.push(entry);
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(Some(listed))
    }

    /// The content of the attribute with this type and name; `None` when the file has none.
    pub(super) fn content(
        &self,
        source: Source<'_>,
        record: &Record,
        ty: u32,
        name: &str,
    ) -> Result<Option<Content>, Error> {
        let mut gathered = Gathered::default();
        self.for_each_part(source, record, ty, name, &mut |attribute| {
            gathered.add(attribute, self.cluster_bytes()).map(|()| true)
        })?;
        if gathered.first.is_none() {
            return Ok(None);
        }
        gathered.finish(self.cluster_bytes(), source.length()).map(Some)
    }

    /// Visits the parts of an attribute in their order, until `visit` tells that it has enough.
    pub(super) fn for_each_part(
        &self,
        source: Source<'_>,
        record: &Record,
        ty: u32,
        name: &str,
        visit: &mut dyn FnMut(&Attribute<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let wanted = fold(name);
        let Some(list) = self.list_of(source, record)? else {
            for attribute in record.attributes() {
                let attribute = attribute?;
                if attribute.ty == ty && is_named(&attribute, &wanted) && !visit(&attribute)? {
                    break;
                }
            }
            return Ok(());
        };
        let mut extension: Option<Record> = None;
        for listed in list.iter().filter(|listed| listed.ty == ty && fold(&listed.name) == wanted) {
            let holder = if listed.record == record.number {
                record
            } else {
                let held = extension.take().filter(|held| held.number == listed.record);
                let held = match held {
                    Some(held) => held,
                    None => self.extension(source, record, listed)?,
                };
                extension.insert(held)
            };
            if !visit_listed(holder, listed, &wanted, visit)? {
                break;
            }
        }
        Ok(())
    }

    /// Names and sizes of the attributes of a type that have a name.
    pub(super) fn named(&self, source: Source<'_>, record: &Record, ty: u32) -> Result<Vec<(String, u64)>, Error> {
        let names: Vec<String> = match self.list_of(source, record)? {
            Some(list) => list
                .into_iter()
                .filter(|listed| listed.ty == ty && listed.lowest_vcn == 0 && !listed.name.is_empty())
                .map(|listed| listed.name)
                .collect(),
            None => {
                let attributes = record.attributes().filter_map(Result::ok);
                attributes
                    .filter(|known| known.ty == ty && !known.name.is_empty())
                    .map(|known| known.name_text())
                    .collect()
            }
        };
        let mut named = Vec::new();
        for name in names {
            let mut size = 0;
            self.for_each_part(source, record, ty, &name, &mut |attribute| {
                size = attribute.sizes().0;
                Ok(false)
            })?;
            named.push((name, size));
        }
        Ok(named)
    }

    fn extension(&self, source: Source<'_>, base: &Record, listed: &Listed) -> Result<Record, Error> {
        let record = self.record(source, listed.record)?;
        if !record.is_in_use() || record.base() != base.number || record.sequence() != listed.sequence {
            return Err(Error::damaged("an attribute list names a record of another file"));
        }
        Ok(record)
    }
}

fn is_named(attribute: &Attribute<'_>, folded: &str) -> bool {
    attribute.name.is_empty() && folded.is_empty()
        || !attribute.name.is_empty() && !folded.is_empty() && fold(&attribute.name_text()) == folded
}

/// Visits the part that a list names.
fn visit_listed(
    holder: &Record,
    listed: &Listed,
    folded: &str,
    visit: &mut dyn FnMut(&Attribute<'_>) -> Result<bool, Error>,
) -> Result<bool, Error> {
    for attribute in holder.attributes() {
        let attribute = attribute?;
        if attribute.ty == listed.ty && attribute.lowest_vcn() == listed.lowest_vcn && is_named(&attribute, folded) {
            return visit(&attribute);
        }
    }
    Err(Error::damaged("an attribute list names a part that does not exist"))
}

impl Gathered {
    fn add(&mut self, attribute: &Attribute<'_>, cluster_bytes: u64) -> Result<(), Error> {
        match &attribute.value {
            Value::Resident(value) if self.first.is_none() => {
                self.resident = Some(value.to_vec());
                let size = value.len() as u64;
                self.first = Some(First { size, initialized: size, unit_exponent: 0, compressed: false });
                Ok(())
            }
            Value::NonResident(value) if self.resident.is_none() => self.add_runs(attribute, value, cluster_bytes),
            _ => Err(Error::damaged("an attribute changes between resident and non-resident")),
        }
    }

    fn add_runs(
        &mut self,
        attribute: &Attribute<'_>,
        value: &NonResident<'_>,
        cluster_bytes: u64,
    ) -> Result<(), Error> {
        if value.lowest_vcn.checked_mul(cluster_bytes) != Some(self.extents.covered()) {
            return Err(Error::damaged("the parts of an attribute do not follow each other"));
        }
        self.first.get_or_insert(First {
            size: value.size,
            initialized: value.initialized,
            unit_exponent: value.unit_exponent,
            compressed: attribute.is_compressed(),
        });
        runs::decode(value.runs, cluster_bytes, &mut self.extents)
    }

    fn finish(self, cluster_bytes: u64, volume_bytes: u64) -> Result<Content, Error> {
        let first = self.first.ok_or_else(|| Error::damaged("an attribute without a first part"))?;
        if let Some(bytes) = self.resident {
            return Ok(Content::resident(bytes));
        }
        if !first.compressed || first.unit_exponent == 0 {
            return Content::plain(first.size, first.initialized, self.extents, volume_bytes);
        }
        // Windows compresses in units of 16 clusters of at most 4 KiB.
        let unit_bytes = cluster_bytes.checked_shl(first.unit_exponent.into()).filter(|unit| *unit <= 4 << 20);
        let unit_bytes = unit_bytes.ok_or_else(|| Error::damaged("a compression unit is too large"))?;
        Content::compressed(first.size, first.initialized, self.extents, unit_bytes, volume_bytes)
    }
}

/// The file table of a volume, from its own first record. Its records are found through the runs known so far: the parts
/// of a fragmented table are in records that the parts before hold.
pub(super) fn grow_table(ntfs: &mut Ntfs, source: Source<'_>, record: &Record) -> Result<(), Error> {
    let cluster_bytes = ntfs.cluster_bytes();
    let mut gathered = Gathered::default();
    let first = record.unnamed(types::DATA)?;
    if let Some(attribute) = &first {
        gathered.add(attribute, cluster_bytes)?;
        ntfs.set_table(gathered.extents.clone());
    }
    let Some(list) = ntfs.list_of(source, record)? else {
        return if first.is_some() { Ok(()) } else { Err(Error::damaged("the file table has no clusters")) };
    };
    for listed in list.iter().filter(|listed| listed.ty == types::DATA && listed.name.is_empty()) {
        if listed.record == record.number {
            continue;
        }
        let holder = ntfs.extension(source, record, listed)?;
        visit_listed(&holder, listed, "", &mut |attribute| gathered.add(attribute, cluster_bytes).map(|()| true))?;
        ntfs.set_table(gathered.extents.clone());
    }
    Ok(())
}

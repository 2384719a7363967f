//! The content of an NTFS attribute, with its runs collected from all records it is spread over.
//!
//! The library joins the parts of an attribute by a number that is unique only inside one record, does not see a first
//! part that stands in the base record beside an attribute list, and reads stale clusters behind the initialised
//! length. File content must be exact, so the runs are collected here and read directly.

use std::io::{Read, Seek};

use ntfs::attribute_value::NtfsAttributeValue;
use ntfs::structured_values::{NtfsAttributeList, NtfsAttributeListEntry};
use ntfs::{Ntfs, NtfsAttribute, NtfsAttributeFlags, NtfsAttributeType, NtfsFile};

use super::Device;
use crate::Error;

/// More runs than this no file has: an attribute list is limited to 256 KiB.
const MAX_RUNS: usize = 2_000_000;

/// A contiguous part of the content.
struct Run {
    /// First byte of the content that is behind this run.
    end: u64,
    length: u64,
    /// Place on the volume; `None` is a hole.
    place: Option<u64>,
}

/// Content of an attribute, ready to be read at any offset.
pub(super) struct Content {
    size: u64,
    /// Bytes behind this were never written and read as zeros.
    initialized: u64,
    flags: NtfsAttributeFlags,
    resident: Option<Vec<u8>>,
    runs: Vec<Run>,
}

impl Content {
    /// The attribute of this type and name; `None` when the file has none.
    pub(super) fn find(
        ntfs: &Ntfs,
        stream: &mut Device<'_>,
        file: &NtfsFile<'_>,
        ty: NtfsAttributeType,
        name: &str,
    ) -> Result<Option<Self>, Error> {
        let mut content = None;
        for attribute in file.attributes_raw() {
            let attribute = attribute?;
            if attribute.ty()? == NtfsAttributeType::AttributeList {
                let list = attribute.structured_value::<_, NtfsAttributeList<'_, '_>>(stream)?;
                return Self::from_list(ntfs, stream, file, &list, ty, name);
            }
            if attribute.ty()? == ty && attribute.name()?.to_string_lossy() == name {
                add_part(&mut content, stream, &attribute)?;
                break;
            }
        }
        Ok(content)
    }

    fn from_list(
        ntfs: &Ntfs,
        stream: &mut Device<'_>,
        file: &NtfsFile<'_>,
        list: &NtfsAttributeList<'_, '_>,
        ty: NtfsAttributeType,
        name: &str,
    ) -> Result<Option<Self>, Error> {
        let mut content: Option<Self> = None;
        let mut entries = list.entries();
        while let Some(entry) = entries.next(stream) {
            let entry = entry?;
            if entry.ty().ok() != Some(ty) || entry.name().to_string_lossy() != name {
                continue;
            }
            let covered = content.as_ref().map_or(0, Self::covered);
            let start = u64::try_from(entry.lowest_vcn().offset(ntfs)?).ok();
            if start != Some(covered) {
                return Err(Error::damaged("the parts of an attribute do not follow each other"));
            }
            if entry.base_file_reference().file_record_number() == file.file_record_number() {
                add_listed(&mut content, stream, file, &entry)?;
            } else {
                let part = entry.to_file(ntfs, stream)?;
                add_listed(&mut content, stream, &part, &entry)?;
            }
        }
        Ok(content)
    }

    /// Content bytes that have a run.
    fn covered(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.end)
    }

    /// Length in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// `compressed` or `encrypted`, when the bytes are not the content.
    pub(super) fn transformed(&self) -> Option<&'static str> {
        if self.flags.contains(NtfsAttributeFlags::ENCRYPTED) {
            Some("encrypted")
        } else if self.flags.contains(NtfsAttributeFlags::COMPRESSED) {
            Some("compressed")
        } else {
            None
        }
    }

    /// Fails when there is less than the claimed size.
    pub(super) fn check(&self, volume_bytes: u64) -> Result<(), Error> {
        if self.resident.is_some() {
            return Ok(());
        }
        let stored: u64 = self.runs.iter().filter(|run| run.place.is_some()).map(|run| run.length).sum();
        if self.covered() < self.size || stored > volume_bytes {
            return Err(Error::damaged(format!("content of {} bytes has clusters for {stored}", self.size)));
        }
        Ok(())
    }

    /// Fills `buffer` from `offset`.
    pub(super) fn read_exact_at(&self, stream: &mut Device<'_>, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let short = || Error::damaged("content ends before its length");
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size) {
            return Err(short());
        }
        if let Some(bytes) = &self.resident {
            let start = usize::try_from(offset).map_err(|_| short())?;
            buffer.copy_from_slice(bytes.get(start..start + buffer.len()).ok_or_else(short)?);
            return Ok(());
        }
        let mut done = 0;
        while done < buffer.len() {
            let count = self.read_part(stream, offset + done as u64, &mut buffer[done..])?;
            done += count;
        }
        Ok(())
    }

    /// Reads from one run; at least one byte.
    fn read_part(&self, stream: &mut Device<'_>, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let index = self.runs.partition_point(|run| run.end <= offset);
        let run = self.runs.get(index).ok_or_else(|| Error::damaged("content has no cluster for its end"))?;
        // A part that was never written ends the readable part of this run.
        let (limit, written) =
            if offset < self.initialized { (run.end.min(self.initialized), true) } else { (run.end, false) };
        let count = usize::try_from(limit - offset).unwrap_or(usize::MAX).min(buffer.len());
        match run.place {
            Some(place) if written => {
                let at = place + (offset - (run.end - run.length));
                stream.read_exact_at(at, &mut buffer[..count]).map_err(Error::from_library)?;
            }
            _ => buffer[..count].fill(0),
        }
        Ok(count)
    }
}

/// Adds the part that an entry of an attribute list names.
fn add_listed(
    content: &mut Option<Content>,
    stream: &mut Device<'_>,
    file: &NtfsFile<'_>,
    entry: &NtfsAttributeListEntry,
) -> Result<(), Error> {
    let attribute = entry.to_attribute(file)?;
    add_part(content, stream, &attribute)
}

fn add_part(
    content: &mut Option<Content>,
    stream: &mut Device<'_>,
    attribute: &NtfsAttribute<'_, '_>,
) -> Result<(), Error> {
    let value = attribute.value(stream)?;
    match value {
        NtfsAttributeValue::Resident(value) if content.is_none() => {
            let bytes = value.data().to_vec();
            let size = bytes.len() as u64;
            let flags = attribute.flags();
            *content = Some(Content { size, initialized: size, flags, resident: Some(bytes), runs: Vec::new() });
            Ok(())
        }
        NtfsAttributeValue::NonResident(value) => {
            if content.is_none() {
                let size = attribute.value_length();
                let initialized = initialized_bytes(stream, attribute)?.min(size);
                let flags = attribute.flags();
                *content = Some(Content { size, initialized, flags, resident: None, runs: Vec::new() });
            }
            let runs = &mut content.as_mut().ok_or_else(|| Error::damaged("an attribute without a first part"))?.runs;
            for run in value.data_runs() {
                let run = run?;
                let place = run.data_position().value().map(std::num::NonZeroU64::get);
                push_run(runs, run.allocated_size(), place)?;
            }
            Ok(())
        }
        _ => Err(Error::damaged("an attribute changes between resident and non-resident")),
    }
}

fn push_run(runs: &mut Vec<Run>, length: u64, place: Option<u64>) -> Result<(), Error> {
    let end = runs.last().map_or(0, |run| run.end).checked_add(length);
    match end {
        Some(end) if runs.len() < MAX_RUNS && place.is_none_or(|place| place.checked_add(length).is_some()) => {
            runs.push(Run { end, length, place });
            Ok(())
        }
        _ => Err(Error::damaged("an attribute has impossible runs")),
    }
}

/// Reads the initialised length, which the library does not tell, from the record on the volume.
fn initialized_bytes(stream: &mut (impl Read + Seek), attribute: &NtfsAttribute<'_, '_>) -> Result<u64, Error> {
    const FIELD: u64 = 56;
    let Some(position) = attribute.position().value() else {
        return Ok(u64::MAX);
    };
    let mut bytes = [0; 8];
    stream.seek(std::io::SeekFrom::Start(position.get() + FIELD)).map_err(Error::from_library)?;
    stream.read_exact(&mut bytes).map_err(Error::from_library)?;
    // The last two bytes of each sector hold the update sequence number instead of data. Where they fall on the top of
    // this field, the data there is zero: no volume is that large.
    bytes[6..].fill(0);
    Ok(u64::from_le_bytes(bytes))
}

//! The files of an E01 image: `.E01` to `.E99`, then `.EAA` to `.ZZZ`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use block_io::{BlockRead, FileDisk};

use super::damaged;
use super::sections::{FILE_HEADER_BYTES, Media, Section, Table, read};
use crate::Error;
use crate::bytes::u16_le;

/// One table covers 512 MiB of the disk with usual settings.
const MAX_TABLES: usize = 1 << 20;

/// Reads the sections of all files, without their data.
pub(super) fn read_all(path: &Path, first: FileDisk) -> Result<(Vec<FileDisk>, Media, Vec<Table>), Error> {
    let mut found = Found { media: None, tables: Vec::new(), chunks: 0 };
    let mut segments = Vec::new();
    let mut next = Some(first);
    while let Some(file) = next.take() {
        let number = segments.len() + 1;
        check_header(&file, number)?;
        let more = found.read_sections(&file, segments.len())?;
        segments.push(file);
        if more {
            let path = name_of_segment(path, number + 1)
                .ok_or_else(|| damaged("it goes on in another file, and the name of this one has no number", 0))?;
            next = Some(FileDisk::open(&path).map_err(|source| Error::Part { path, source })?);
        }
    }
    let media = found.media.ok_or_else(|| damaged("it says nothing of the disk", FILE_HEADER_BYTES))?;
    Ok((segments, media, found.tables))
}

fn check_header(file: &FileDisk, number: usize) -> Result<(), Error> {
    let mut header = [0; 13];
    read(file, 0, &mut header)?;
    if !header.starts_with(b"EVF\x09\x0d\x0a\xff\x00") {
        return Err(damaged("one of its files is not of this format", 0));
    }
    if usize::from(u16_le(&header, 9)) == number {
        return Ok(());
    }
    Err(match number {
        1 => Error::Unsupported { what: "a later file of an E01 image, without its first," },
        _ => damaged("one of its files has the wrong number", 9),
    })
}

/// What the sections tell.
struct Found {
    media: Option<Media>,
    tables: Vec<Table>,
    chunks: u64,
}

impl Found {
    /// Follows the chain of sections; tells whether the image goes on in another file.
    fn read_sections(&mut self, file: &FileDisk, segment: usize) -> Result<bool, Error> {
        let mut at = FILE_HEADER_BYTES;
        let mut data_end_bytes = 0;
        let file_bytes = file.geometry().length_bytes;
        loop {
            let section = Section::read(file, at)?;
            if section.end_bytes > file_bytes && !matches!(&section.kind[..], b"next" | b"done") {
                read(file, section.end_bytes.saturating_sub(1), &mut [0])?;
            }
            match &section.kind[..] {
                b"next" => return Ok(true),
                b"done" => return Ok(false),
                b"volume" | b"disk" if self.media.is_none() => self.media = Some(Media::read(file, &section)?),
                b"sectors" => data_end_bytes = section.end_bytes,
                b"table" => self.add(Table::read(file, &section, segment, data_end_bytes)?)?,
                b"table2" => self.add_mirror(&section, segment),
                _ => {}
            }
            // The chain only leads forward, so it ends.
            if section.next_bytes <= at {
                return Err(damaged("its chain of sections leads backward", at));
            }
            at = section.next_bytes;
        }
    }

    fn add(&mut self, mut table: Table) -> Result<(), Error> {
        if self.tables.len() == MAX_TABLES {
            return Err(damaged("it has too many tables of chunks", 0));
        }
        table.first_chunk = self.chunks;
        self.chunks += table.count;
        self.tables.push(table);
        Ok(())
    }

    fn add_mirror(&mut self, section: &Section, segment: usize) {
        if let Some(table) = self.tables.last_mut().filter(|table| table.segment == segment) {
            table.mirror_bytes.get_or_insert(Table::mirror(section));
        }
    }
}

/// The name of a later file, made from that of the first; `None` where that does not end like one.
fn name_of_segment(first: &Path, number: usize) -> Option<PathBuf> {
    let extension = first.extension()?.to_str()?;
    let (letter, digits) = (extension.chars().next()?, extension.get(1..)?);
    if !letter.is_ascii_alphabetic() || digits != "01" {
        return None;
    }
    let name = if number <= 99 {
        format!("{letter}{number:02}")
    } else {
        let index = number - 100;
        let nth = |base: u8, index: usize| u8::try_from(index).ok().map(|index| char::from(base.saturating_add(index)));
        let start = letter.to_ascii_uppercase();
        let first = nth(u8::try_from(start).ok()?, index / 676).filter(char::is_ascii_uppercase)?;
        let name: String = [first, nth(b'A', index / 26 % 26)?, nth(b'A', index % 26)?].iter().collect();
        if letter.is_ascii_lowercase() { name.to_ascii_lowercase() } else { name }
    };
    Some(first.with_extension(OsString::from(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_later_files() {
        let name =
            |first: &str, number| name_of_segment(Path::new(first), number).map(|path| path.display().to_string());
        assert_eq!(name("a/b.E01", 2).as_deref(), Some("a/b.E02"));
        assert_eq!(name("b.E01", 99).as_deref(), Some("b.E99"));
        assert_eq!(name("b.E01", 100).as_deref(), Some("b.EAA"));
        assert_eq!(name("b.e01", 126).as_deref(), Some("b.eba"));
        assert_eq!(name("b.E01", 100 + 676).as_deref(), Some("b.FAA"));
        assert_eq!(name("b.E01", 100 + 22 * 676), None);
        assert_eq!(name("b.E02", 2), None);
        assert_eq!(name("image", 2), None);
    }
}

//! Reparse points: names that lead elsewhere, and files that are stored otherwise.
//!
//! Source: \[MS-FSCC\] 2.1.2; for the subsystem for Linux and for cloud files its table of tags.

use crate::EntryKind;
use crate::bytes::{slice_at, u16_at, u32_at, units};

const JUNCTION: u32 = 0xA000_0003;
const SYMBOLIC_LINK: u32 = 0xA000_000C;
const LINUX_SYMBOLIC_LINK: u32 = 0xA000_001D;
const DEDUPLICATED: u32 = 0x8000_0013;
const WIM_COMPRESSED: u32 = 0x8000_0017;
/// The others of the subsystem for Linux (socket, pipe, devices) and aliases of apps.
const OTHERS: [u32; 5] = [0x8000_0023, 0x8000_0024, 0x8000_0025, 0x8000_0026, 0x8000_001B];
/// Set in tags whose names stand for something else.
const SURROGATE: u32 = 0x2000_0000;

/// What a name with this tag is; anything else, such as a folder of a cloud drive, is what its record says.
pub(super) fn kind(tag: u32, of_record: EntryKind) -> EntryKind {
    match tag {
        JUNCTION => EntryKind::Junction,
        SYMBOLIC_LINK | LINUX_SYMBOLIC_LINK => EntryKind::SymbolicLink,
        _ if OTHERS.contains(&tag) || tag & SURROGATE != 0 => EntryKind::Other,
        _ => of_record,
    }
}

/// How the content of a file with this tag is stored, where that is not the plain way.
pub(super) fn stored(tag: u32) -> Option<&'static str> {
    match tag {
        WIM_COMPRESSED => Some("compressed as a system file (CompactOS)"),
        DEDUPLICATED => Some("deduplicated by Windows Server"),
        _ => None,
    }
}

/// Where a link leads, as Windows shows it.
pub(super) fn target(value: &[u8]) -> Option<String> {
    let tag = u32_at(value, 0)?;
    let data = value.get(8..)?;
    let names = match tag {
        JUNCTION => 8,
        SYMBOLIC_LINK => 12,
        // Four bytes of version, then UTF-8.
        LINUX_SYMBOLIC_LINK => return Some(String::from_utf8_lossy(data.get(4..)?).into_owned()),
        _ => return None,
    };
    let name = |field: usize| {
        let (start, length) = (usize::from(u16_at(data, field)?), usize::from(u16_at(data, field + 2)?));
        Some(String::from_utf16_lossy(&units(slice_at(data, names + start, length)?)))
    };
    // The second name is for people; some programs leave it empty.
    match name(4) {
        Some(shown) if !shown.is_empty() => Some(shown),
        _ => name(0).map(|real| real.strip_prefix(r"\??\").map_or(real.clone(), str::to_owned)),
    }
}

/// Where a symbolic link leads that a Unix driver made: a system file that begins with a mark.
pub(super) fn unix_target(content: &[u8]) -> Option<String> {
    Some(String::from_utf16_lossy(&units(content.strip_prefix(b"IntxLNK\x01")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(tag: u32, header: &[u16], names: &str) -> Vec<u8> {
        let mut value = tag.to_le_bytes().to_vec();
        value.extend([0; 4]);
        value.extend(header.iter().flat_map(|field| field.to_le_bytes()));
        value.extend(names.encode_utf16().flat_map(u16::to_le_bytes));
        value
    }

    #[test]
    fn targets() {
        let junction = link(JUNCTION, &[0, 14, 16, 6], r"\??\C:\ C:\");
        assert_eq!(target(&junction).unwrap(), r"C:\");
        let unnamed = link(JUNCTION, &[0, 14, 14, 0], r"\??\C:\");
        assert_eq!(target(&unnamed).unwrap(), r"C:\");
        let relative = link(SYMBOLIC_LINK, &[0, 8, 0, 8, 1, 0], r"..\b");
        assert_eq!(target(&relative).unwrap(), r"..\b");
        let mut linux = link(LINUX_SYMBOLIC_LINK, &[2, 0], "");
        linux.extend("../ä".as_bytes());
        assert_eq!(target(&linux).unwrap(), "../ä");
        assert_eq!(target(&link(SYMBOLIC_LINK, &[0, 80, 0, 80, 1, 0], "x")), None);
    }

    #[test]
    fn kinds() {
        assert_eq!(kind(0x9000_701A, EntryKind::Directory), EntryKind::Directory);
        assert_eq!(kind(WIM_COMPRESSED, EntryKind::File), EntryKind::File);
        assert_eq!(kind(0x8000_0024, EntryKind::File), EntryKind::Other);
    }
}

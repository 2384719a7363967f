//! Whether the log of NTFS was closed.
//!
//! It begins with two restart pages, of which the one with the higher number counts; one that was reset is all ones.
//! Windows 8 and later write version 2.0 while they use the volume, and set it back to 1.1 when they let it go.

use block_io::BlockRead;
use fs_view::layout::Stream;
use fs_view::layout::bytes::{u16_at, u32_at, u64_at};

use crate::{Error, Unclean};

/// Where the second page is when the first does not tell.
const PAGE_BYTES: u64 = 4096;
/// What is looked at lies in the first block of a page, before its torn-write mark.
const LOOKED_AT: usize = 510;

/// The start of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Reset,
    Restart { page_bytes: u64, number: u64, closed: bool, flags: u16, version: (u16, u16) },
    Other,
}

/// Fails unless the log was closed or reset.
pub(super) fn check(log: Option<&Stream>, device: &dyn BlockRead) -> Result<(), Error> {
    let unreadable = |reason| Error::NotClean(Unclean::UnreadableLog(reason));
    let log = log.ok_or(unreadable("it has no clusters"))?;
    let page = |offset: u64| -> Result<Page, Error> {
        let piece = log.piece_at(offset).filter(|piece| piece.length_bytes >= LOOKED_AT as u64);
        let place = piece.and_then(|piece| piece.place_bytes).ok_or(unreadable("it ends early"))?;
        let mut bytes = [0; LOOKED_AT];
        device.read_exact_at(place, &mut bytes)?;
        Ok(parse(&bytes))
    };
    let first = page(0)?;
    let second_at = match first {
        Page::Restart { page_bytes, .. } => page_bytes,
        _ => PAGE_BYTES,
    };
    let second = page(second_at)?;
    let (counts, offset_bytes) = match (first, second) {
        (Page::Reset, Page::Reset) => return Ok(()),
        (Page::Restart { number: a, .. }, Page::Restart { number: b, .. }) if b > a => (second, second_at),
        (Page::Restart { .. }, _) => (first, 0),
        (_, Page::Restart { .. }) => (second, second_at),
        _ => return Err(unreadable("it begins with no restart page")),
    };
    match counts {
        Page::Restart { closed: false, flags, .. } => Err(Error::NotClean(Unclean::OpenLog { offset_bytes, flags })),
        Page::Restart { version: (major @ 2.., minor), .. } => {
            Err(Error::NotClean(Unclean::FastStartup { major, minor }))
        }
        _ => Ok(()),
    }
}

fn parse(bytes: &[u8; LOOKED_AT]) -> Page {
    match &bytes[..4] {
        [0xFF, 0xFF, 0xFF, 0xFF] => Page::Reset,
        b"RSTR" | b"CHKD" => restart(bytes).unwrap_or(Page::Other),
        _ => Page::Other,
    }
}

fn restart(bytes: &[u8]) -> Option<Page> {
    const CLEAN: u16 = 2;
    const NO_CLIENT: u16 = 0xFFFF;
    let page_bytes = u32_at(bytes, 16).filter(|size| size.is_power_of_two() && (512..=65536).contains(size))?;
    let area = usize::from(u16_at(bytes, 24)?);
    let version = (u16_at(bytes, 28)?, u16_at(bytes, 26)?);
    let flags = u16_at(bytes, area + 14)?;
    let closed = u16_at(bytes, area + 12)? == NO_CLIENT || flags & CLEAN != 0;
    Some(Page::Restart { page_bytes: page_bytes.into(), number: u64_at(bytes, area)?, closed, flags, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(users: u16, flags: u16, major: u8) -> Page {
        let mut bytes = [0; LOOKED_AT];
        bytes[..4].copy_from_slice(b"RSTR");
        bytes[17] = 0x10;
        bytes[24] = 48;
        (bytes[26], bytes[28]) = (1, major);
        bytes[60..62].copy_from_slice(&users.to_le_bytes());
        bytes[62..64].copy_from_slice(&flags.to_le_bytes());
        parse(&bytes)
    }

    #[test]
    fn pages() {
        let restart = |closed, flags, major| {
            let version = (major, 1);
            Page::Restart { page_bytes: 4096, number: 0, closed, flags, version }
        };
        assert_eq!(page(0xFFFF, 0, 1), restart(true, 0, 1));
        assert_eq!(page(0, 2, 1), restart(true, 2, 1));
        assert_eq!(page(0, 0, 2), restart(false, 0, 2));
        assert_eq!(parse(&[0xFF; LOOKED_AT]), Page::Reset);
        assert_eq!(parse(&[0; LOOKED_AT]), Page::Other);
    }
}

//! The descriptor of a VMDK image: lines of `key=value`, and one line for each extent.

use block_io::{BlockRead, FileDisk};

use super::damaged;
use crate::Error;

const FIRST_LINE: &str = "# Disk DescriptorFile";
/// Descriptors have less than a page.
const MAX_BYTES: u64 = 256 << 10;
/// A disk of 64 TiB in pieces of 2 GiB.
const MAX_EXTENTS: usize = 32 << 10;
/// Sectors of the largest disk that makes sense: 2^55 bytes. Sums of extents stay far from overflowing.
const MAX_SECTORS: u64 = 1 << 46;
/// The content identifier of no parent.
const NO_PARENT: &str = "ffffffff";

/// What a descriptor says.
#[derive(Debug, Default)]
pub(super) struct Descriptor {
    pub(super) extents: Vec<ExtentLine>,
    has_parent: bool,
}

/// One piece of the disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExtentLine {
    pub(super) sectors: u64,
    pub(super) kind: ExtentKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum ExtentKind {
    Zero,
    Flat { name: String, offset_sectors: u64 },
    Sparse { name: String },
}

/// Whether a file starts like a descriptor.
pub(crate) fn is_descriptor(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    text.get(..FIRST_LINE.len()).is_some_and(|start| start.eq_ignore_ascii_case(FIRST_LINE.as_bytes()))
}

/// Reads a descriptor that is a file of its own.
pub(super) fn read(file: &FileDisk) -> Result<String, Error> {
    let length_bytes = file.geometry().length_bytes;
    if length_bytes > MAX_BYTES {
        return Err(damaged("its descriptor is too long", 0));
    }
    let mut bytes = vec![0; usize::try_from(length_bytes).unwrap_or(0)];
    file.read_exact_at(0, &mut bytes)?;
    Ok(text(&bytes))
}

/// The text up to the first zero byte. Names may be in any encoding; a name that is not UTF-8 is then not found.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

impl Descriptor {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut descriptor = Self::default();
        let mut offset_bytes = 0;
        for line in text.lines() {
            let place = offset_bytes;
            offset_bytes += line.len() as u64 + 1;
            let line = line.trim();
            if ["RW ", "RDONLY ", "NOACCESS "].iter().any(|access| line.starts_with(access)) {
                descriptor.extents.push(extent(line, place)?);
            } else if let Some((key, value)) = line.split_once('=')
                && key.trim().eq_ignore_ascii_case("parentCID")
            {
                descriptor.has_parent = !value.trim().eq_ignore_ascii_case(NO_PARENT);
            }
        }
        if descriptor.extents.is_empty() || descriptor.extents.len() > MAX_EXTENTS {
            return Err(damaged("its descriptor lists no extents, or too many", 0));
        }
        Ok(descriptor)
    }

    pub(super) fn refuse_parent(&self) -> Result<(), Error> {
        if self.has_parent {
            return Err(Error::Unsupported { what: "a VMDK snapshot, whose parent is another file," });
        }
        Ok(())
    }
}

/// `RW 4192256 FLAT "name.vmdk" 0`
fn extent(line: &str, place: u64) -> Result<ExtentLine, Error> {
    let bad = || damaged("a line of its descriptor cannot be read", place);
    let mut words = line.split_whitespace().skip(1);
    let sectors = words.next().and_then(|word| word.parse().ok()).filter(|count| *count <= MAX_SECTORS);
    let sectors = sectors.ok_or_else(bad)?;
    let kind = words.next().ok_or_else(bad)?;
    if kind == "ZERO" {
        return Ok(ExtentLine { sectors, kind: ExtentKind::Zero });
    }
    let (name, rest) = line.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"')).ok_or_else(bad)?;
    let name = name.to_owned();
    let kind = match kind {
        "FLAT" | "VMFS" => {
            let offset_sectors = match rest.split_whitespace().next() {
                None => 0,
                Some(word) => word.parse().ok().filter(|offset| *offset <= MAX_SECTORS).ok_or_else(bad)?,
            };
            ExtentKind::Flat { name, offset_sectors }
        }
        "SPARSE" => ExtentKind::Sparse { name },
        "VMFSSPARSE" | "SESPARSE" => return Err(Error::Unsupported { what: "a sparse VMDK of an ESX server" }),
        _ => return Err(Error::Unsupported { what: "a VMDK that stands for a physical disk" }),
    };
    Ok(ExtentLine { sectors, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_extents() {
        let flat = |name: &str, offset_sectors| ExtentKind::Flat { name: name.to_owned(), offset_sectors };
        let parsed = Descriptor::parse(
            "# Disk DescriptorFile\r\nCID=1\r\nparentCID = FFFFFFFF\r\n\r\nRW 8 FLAT \"a b.vmdk\" 5\r\nRW 3 ZERO\r\n\
             RDONLY 1 SPARSE \"s.vmdk\"\r\nddb.x = \"RW 1\"\r\n",
        )
        .unwrap();
        parsed.refuse_parent().unwrap();
        let kinds: Vec<_> = parsed.extents.into_iter().map(|extent| (extent.sectors, extent.kind)).collect();
        let sparse = ExtentKind::Sparse { name: "s.vmdk".to_owned() };
        assert_eq!(kinds, [(8, flat("a b.vmdk", 5)), (3, ExtentKind::Zero), (1, sparse)]);
        for bad in ["", "RW x FLAT \"a\" 0", "RW 1 FLAT a 0", "RW 99999999999999999 ZERO", "RW 1 FLAT \"a\" -1"] {
            assert!(matches!(Descriptor::parse(bad), Err(Error::Damaged { .. })), "{bad}");
        }
        assert!(Descriptor::parse("parentCID=12ab\nRW 1 ZERO").unwrap().refuse_parent().is_err());
        assert!(matches!(Descriptor::parse("RW 1 VMFSRDM \"a\""), Err(Error::Unsupported { .. })));
    }
}

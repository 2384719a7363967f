//! Recognising a format by its content.

use std::fmt;

use block_io::{BlockRead, FileDisk};

use crate::{Error, vhd};

/// How a disk is kept in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageFormat {
    /// The plain disk: an image without any structure of its own, or a device.
    Raw,
    /// VHD, fixed or dynamic.
    Vhd,
    /// VHDX, fixed or dynamic.
    Vhdx,
    /// QEMU's qcow2.
    Qcow2,
    /// VMware's VMDK, in one file or several.
    Vmdk,
    /// The Expert Witness Format (`.E01`), in one file or several.
    Ewf,
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Raw => "raw",
            Self::Vhd => "VHD",
            Self::Vhdx => "VHDX",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "VMDK",
            Self::Ewf => "E01",
        })
    }
}

/// Bytes of the start that tell formats apart.
const HEAD_BYTES: usize = 512;

/// What the content looks like.
pub(crate) enum Looks {
    Like(ImageFormat),
    /// A VMDK descriptor in a file of its own.
    VmdkDescriptor,
    /// A fixed VHD, or a dynamic one whose first footer is damaged: the footer is at the end.
    VhdFooter(vhd::Footer),
}

/// Looks at the start of the file, and at its last sector for VHD.
///
/// A device is always raw: what stands on a stick that came from anywhere must not name files or disks of this computer.
pub(crate) fn recognise(file: &FileDisk) -> Result<Looks, Error> {
    let length_bytes = file.geometry().length_bytes;
    let mut head = vec![0; usize::try_from(length_bytes).unwrap_or(usize::MAX).min(HEAD_BYTES)];
    file.read_exact_at(0, &mut head)?;
    if file.is_device() {
        return Ok(Looks::Like(ImageFormat::Raw));
    }
    if let Some(looks) = by_head(&head)? {
        return Ok(looks);
    }
    Ok(match footer(file)? {
        Some(footer) => Looks::VhdFooter(footer),
        None => Looks::Like(ImageFormat::Raw),
    })
}

fn by_head(head: &[u8]) -> Result<Option<Looks>, Error> {
    const KNOWN: [(&[u8], ImageFormat); 5] = [
        (b"vhdxfile", ImageFormat::Vhdx),
        (b"QFI\xfb", ImageFormat::Qcow2),
        (b"KDMV", ImageFormat::Vmdk),
        (b"EVF\x09\x0d\x0a\xff\x00", ImageFormat::Ewf),
        (b"conectix", ImageFormat::Vhd),
    ];
    const REFUSED: [(usize, &[u8], &str); 6] = [
        (0, b"COWD", "a VMDK image of ESX 2 (COWD)"),
        (0, b"EVF2\x0d\x0a\x81\x00", "an image of the second Expert Witness Format (Ex01)"),
        (0, b"LVF\x09\x0d\x0a\xff\x00", "a logical evidence file (L01), which holds files and no disk,"),
        (0, b"QED\x00", "a QED image"),
        (0, b"WithoutFreeSpac", "a Parallels image"),
        (0x40, b"\x7f\x10\xda\xbe", "a VirtualBox image (VDI)"),
    ];
    if let Some((_, format)) = KNOWN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Ok(Some(Looks::Like(*format)));
    }
    let refused = REFUSED.iter().find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    if let Some((_, _, what)) = refused {
        return Err(Error::Unsupported { what });
    }
    Ok(crate::vmdk::is_descriptor(head).then_some(Looks::VmdkDescriptor))
}

/// The VHD footer in the last sector. Old versions of Virtual PC left out its last byte.
fn footer(file: &FileDisk) -> Result<Option<vhd::Footer>, Error> {
    let length_bytes = file.geometry().length_bytes;
    for short in [512, 511] {
        let Some(start) = length_bytes.checked_sub(short) else { continue };
        let mut sector = [0; 512];
        file.read_exact_at(start, &mut sector[..usize::try_from(short).unwrap_or(512)])?;
        if let Some(footer) = vhd::Footer::parse(&sector) {
            return Ok(Some(footer));
        }
    }
    Ok(None)
}

//! An image of any format, opened by its path.

use std::fmt;
use std::path::Path;

use block_io::{BlockRead, BlockWrite, Error as IoError, FileDisk, Geometry, Slice};

use crate::format::{Looks, recognise};
use crate::mapped::Mapped;
use crate::{Error, ImageFormat, ewf, qcow2, vhd, vhdx, vmdk};

/// A whole disk: an image file of any supported format, or a block device.
pub struct DiskImage {
    format: ImageFormat,
    content: Content,
}

enum Content {
    /// Raw images and devices: nothing between the caller and the file.
    Raw(FileDisk),
    /// A fixed VHD: the plain disk without the footer.
    Fixed(Slice<FileDisk>),
    /// Any other format; read only.
    Mapped(Box<dyn BlockRead>),
}

impl DiskImage {
    /// Opens an image or device for reading. Only its tables are read.
    ///
    /// # Errors
    /// [`Error::Storage`], and the reasons why an image of a known format cannot be used.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = FileDisk::open(path)?;
        let looks = recognise(&file)?;
        Self::with_format(path, file, looks)
    }

    /// Opens an image or device for reading and writing: raw ones, and fixed VHDs.
    ///
    /// # Errors
    /// As [`Self::open`]; [`Error::ReadOnly`] for the other formats.
    pub fn open_writable(path: &Path) -> Result<Self, Error> {
        // The format is found out with a file that cannot be written by mistake.
        let looks = recognise(&FileDisk::open(path)?)?;
        let format = match looks {
            Looks::Like(ImageFormat::Raw) => return Self::with_format(path, FileDisk::open_writable(path)?, looks),
            Looks::VhdFooter(footer) if footer.kind == vhd::Kind::Fixed => {
                return Self::with_format(path, FileDisk::open_writable(path)?, looks);
            }
            Looks::Like(format) => format,
            Looks::VhdFooter(_) => ImageFormat::Vhd,
            Looks::VmdkDescriptor => ImageFormat::Vmdk,
        };
        Err(Error::ReadOnly { format })
    }

    /// Opens a raw image or a device, whatever its content looks like: that of a damaged medium may not be readable.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn open_raw(path: &Path, writable: bool) -> Result<Self, Error> {
        let file = if writable { FileDisk::open_writable(path)? } else { FileDisk::open(path)? };
        Ok(Self { format: ImageFormat::Raw, content: Content::Raw(file) })
    }

    /// A raw disk that somebody else reads; it cannot be written.
    #[must_use]
    pub fn over(storage: Box<dyn BlockRead>) -> Self {
        Self { format: ImageFormat::Raw, content: Content::Mapped(storage) }
    }

    fn with_format(path: &Path, file: FileDisk, looks: Looks) -> Result<Self, Error> {
        let (format, content) = match looks {
            Looks::Like(ImageFormat::Raw) => (ImageFormat::Raw, Content::Raw(file)),
            Looks::Like(ImageFormat::Vhd) => (ImageFormat::Vhd, vhd_by_head(file)?),
            Looks::VhdFooter(footer) => (ImageFormat::Vhd, vhd_content(file, &footer)?),
            Looks::Like(ImageFormat::Vhdx) => (ImageFormat::Vhdx, mapped(Mapped(vhdx::Vhdx::open(file)?))),
            Looks::Like(ImageFormat::Qcow2) => (ImageFormat::Qcow2, mapped(qcow2::Qcow2::open(path, file)?)),
            Looks::Like(ImageFormat::Vmdk) => (ImageFormat::Vmdk, mapped(vmdk::open_sparse(file)?)),
            Looks::VmdkDescriptor => (ImageFormat::Vmdk, mapped(vmdk::open_descriptor(path, &file)?)),
            Looks::Like(ImageFormat::Ewf) => (ImageFormat::Ewf, mapped(ewf::open(path, file)?)),
        };
        Ok(Self { format, content })
    }

    /// The format that was recognised.
    #[must_use]
    pub fn format(&self) -> ImageFormat {
        self.format
    }
}

fn mapped(disk: impl BlockRead + 'static) -> Content {
    Content::Mapped(Box::new(disk))
}

/// A dynamic VHD by the copy of the footer at its start.
fn vhd_by_head(file: FileDisk) -> Result<Content, Error> {
    let mut sector = [0; 512];
    let file_bytes = file.geometry().length_bytes;
    file.read_exact_at(0, &mut sector).map_err(|error| vhd::outside(error, 512, file_bytes))?;
    let footer = vhd::Footer::parse(&sector).or_else(|| {
        // The other copy is at the end.
        file.read_exact_at(file_bytes.checked_sub(512)?, &mut sector).ok()?;
        vhd::Footer::parse(&sector)
    });
    let damaged = |what| Error::Damaged { format: ImageFormat::Vhd, what, offset_bytes: 0 };
    match footer {
        Some(footer) if footer.kind == vhd::Kind::Fixed => {
            Err(damaged("it starts like a dynamic disk and ends like a fixed one"))
        }
        Some(footer) => vhd_content(file, &footer),
        None => Err(damaged("the checksum of its footer is wrong")),
    }
}

fn vhd_content(file: FileDisk, footer: &vhd::Footer) -> Result<Content, Error> {
    match footer.kind {
        vhd::Kind::Dynamic => Ok(mapped(Mapped(vhd::Dynamic::open(file, footer)?))),
        vhd::Kind::Differencing => {
            Err(Error::Unsupported { what: "a differencing VHD, whose parent is another file," })
        }
        vhd::Kind::Fixed => {
            let file_bytes = file.geometry().length_bytes;
            let needed_bytes = footer.length_bytes.saturating_add(vhd::SECTOR_BYTES - 1);
            let slice = Slice::new(file, 0, footer.length_bytes);
            slice.map(Content::Fixed).map_err(|_| Error::CutOff { format: ImageFormat::Vhd, needed_bytes, file_bytes })
        }
    }
}

impl BlockRead for DiskImage {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        match &self.content {
            Content::Raw(disk) => disk.read_exact_at(offset_bytes, buffer),
            Content::Fixed(disk) => disk.read_exact_at(offset_bytes, buffer),
            Content::Mapped(disk) => disk.read_exact_at(offset_bytes, buffer),
        }
    }

    fn geometry(&self) -> Geometry {
        match &self.content {
            Content::Raw(disk) => disk.geometry(),
            Content::Fixed(disk) => disk.geometry(),
            Content::Mapped(disk) => disk.geometry(),
        }
    }
}

impl BlockWrite for DiskImage {
    fn write_all_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), IoError> {
        match &self.content {
            Content::Raw(disk) => disk.write_all_at(offset_bytes, data),
            Content::Fixed(disk) => disk.write_all_at(offset_bytes, data),
            Content::Mapped(_) => Err(IoError::ReadOnly),
        }
    }

    fn flush(&self) -> Result<(), IoError> {
        match &self.content {
            Content::Raw(disk) => disk.flush(),
            Content::Fixed(disk) => disk.flush(),
            Content::Mapped(_) => Ok(()),
        }
    }
}

impl fmt::Debug for DiskImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DiskImage").field("format", &self.format).finish_non_exhaustive()
    }
}

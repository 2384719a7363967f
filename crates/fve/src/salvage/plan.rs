//! Mending a volume where it lies: metadata copies from one that is proven genuine, then the volume header.
//!
//! The header is one sector and goes last: until then a search finds the volume as it did before, and every copy that is written
//! makes that easier. It is written only where the first sector of the volume decrypts to that of a file system, which
//! proves its place.

use block_io::{BlockRead, BlockWrite};
use fve_format::{Filetime, Guid, METADATA_REGION_BYTES, MetadataBlock, VOLUME_HEADER_BYTES, VolumeHeader};

use crate::salvage::FileSystemStart;
use crate::salvage::found::fixed_header;
use crate::volume::sealed_sector_bytes;
use crate::{
    Error, KeyMaterial, KeyProtector, MetadataEditor, ProtectorKind, UnlockOptions, UnwrapError, Vmk, Volume,
    VolumeLayout,
};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A metadata copy, 0 to 2.
    Copy(usize),
    /// The volume header.
    Header,
}

/// One write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedWrite {
    /// What.
    pub part: Part,
    /// Where, in bytes from the start of the volume.
    pub offset_bytes: u64,
    /// How much.
    pub length_bytes: usize,
}

/// A repair that was thought through and not begun.
pub struct RepairPlan<D> {
    editor: MetadataEditor<D>,
    header: Option<[u8; VOLUME_HEADER_BYTES]>,
}

impl<D: BlockRead> Volume<D> {
    /// Finds out what has to be written to make the volume whole. Nothing is written yet.
    ///
    /// # Errors
    /// As [`Volume::edit`]; [`Error::NoFileSystem`] where the header is lost and cannot be proven.
    pub fn plan_repair(mut self, material: &dyn KeyMaterial, now: Filetime) -> Result<RepairPlan<D>, Error> {
        let (vmk, _, index) = self.unwrap_with(material)?;
        self.use_copy(index);
        let sealed = self.copies.blocks[index].clone().ok_or(Error::Tampered)?;
        let vista = self.header.layout == VolumeLayout::Vista || sealed.header.version != 2;
        if vista || self.in_place().is_some() || self.is_header_sound(&sealed) {
            return Ok(RepairPlan { editor: self.edit(material, now)?, header: None });
        }
        let mut header = fixed_header(&sealed, self.volume_bytes())?;
        header.encrypt_on_write = self.header.encrypt_on_write;
        let sector = header_from_inside(&self.storage, &header, &vmk, self.volume_bytes(), &sealed)?;
        let mut volume = Self::with_header(self.storage, VolumeHeader::parse(&sector)?)?;
        volume.use_copy(index);
        Ok(RepairPlan { editor: volume.edit(material, now)?, header: Some(sector) })
    }

    /// Whether the stored first sector says what the sealed metadata says.
    fn is_header_sound(&self, sealed: &MetadataBlock) -> bool {
        let mut sector = [0; VOLUME_HEADER_BYTES];
        let read = self.storage.read_exact_at(0, &mut sector).ok().and_then(|()| VolumeHeader::parse(&sector).ok());
        read.is_some_and(|header| {
            let sector_bytes = u32::from(header.bytes_per_sector);
            header.metadata_offsets == sealed.header.metadata_offsets.map(Some)
                && header.encrypt_on_write == self.header.encrypt_on_write
                && (sector_bytes == 0 || sealed_sector_bytes(sealed).is_none_or(|sealed| sealed == sector_bytes))
        })
    }
}

/// The header as Windows makes it: from the first sector of the file system inside.
fn header_from_inside(
    storage: &impl BlockRead,
    header: &VolumeHeader,
    vmk: &Vmk,
    volume_bytes: u64,
    sealed: &MetadataBlock,
) -> Result<[u8; VOLUME_HEADER_BYTES], Error> {
    let volume = Volume::with_header(storage, header.clone())?;
    let (unlocked, _) = volume.unlock(&Known(vmk), UnlockOptions { allow_short: true })?;
    let mut first = [0; VOLUME_HEADER_BYTES];
    unlocked.read_exact_at(0, &mut first)?;
    FileSystemStart::recognise(&first).ok_or(Error::NoFileSystem)?;
    let sector = VolumeHeader::encode_fixed(&first, volume_bytes, sealed.header.metadata_offsets);
    let mut made = VolumeHeader::parse(&sector)?;
    made.encrypt_on_write = header.encrypt_on_write;
    Ok(made.encode())
}

/// The VMK itself, which was proven already.
struct Known<'a>(&'a Vmk);

impl KeyMaterial for Known<'_> {
    fn unwrap_vmk(&self, _: &KeyProtector) -> Option<Result<Vmk, UnwrapError>> {
        Some(Ok(self.0.clone()))
    }

    fn kind(&self) -> ProtectorKind {
        ProtectorKind::RecoveryPassword
    }
}

impl<D: BlockRead> RepairPlan<D> {
    /// What will be written, in this order. Empty when the volume is whole.
    #[must_use]
    pub fn writes(&self) -> Vec<PlannedWrite> {
        let offsets = self.editor.stored().header.metadata_offsets;
        let copies = self.editor.to_repair().iter().filter_map(|index| {
            let offset_bytes = *offsets.get(*index)?;
            Some(PlannedWrite { part: Part::Copy(*index), offset_bytes, length_bytes: METADATA_REGION_BYTES })
        });
        let header = self.header.map(|_| PlannedWrite {
            part: Part::Header,
            offset_bytes: 0,
            length_bytes: VOLUME_HEADER_BYTES,
        });
        copies.chain(header).collect()
    }

    /// The protector whose secret was given.
    #[must_use]
    pub fn opened_with(&self) -> Guid {
        self.editor.opened_with()
    }

    /// What is there now, for keeping: sectors that cannot be read as zeros, and how many bytes of them there are.
    #[must_use]
    pub fn overwritten(&self, write: &PlannedWrite) -> (Vec<u8>, usize) {
        const SECTOR: usize = 512;
        let storage = self.editor.storage();
        let mut bytes = vec![0; write.length_bytes];
        if storage.read_exact_at(write.offset_bytes, &mut bytes).is_ok() {
            return (bytes, 0);
        }
        let mut lost = 0;
        for (index, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            if storage.read_exact_at(write.offset_bytes + (index * SECTOR) as u64, sector).is_err() {
                sector.fill(0);
                lost += sector.len();
            }
        }
        (bytes, lost)
    }
}

impl<D: BlockWrite> RepairPlan<D> {
    /// Writes the copies one by one, each flushed and read back before the next, then the header.
    ///
    /// # Errors
    /// As [`MetadataEditor::repair`]; [`Error::HeaderNotWritten`], [`Error::HeaderNotKept`]. A repair that failed can be begun again.
    pub fn run(mut self) -> Result<(), Error> {
        self.editor.repair()?;
        let Some(header) = self.header else { return Ok(()) };
        let storage = self.editor.storage();
        let written = storage.write_all_at(0, &header).and_then(|()| storage.flush());
        written.map_err(|source| Error::HeaderNotWritten { source })?;
        let mut read = [0; VOLUME_HEADER_BYTES];
        storage.read_exact_at(0, &mut read).map_err(|source| Error::HeaderNotWritten { source })?;
        if read == header { Ok(()) } else { Err(Error::HeaderNotKept) }
    }
}

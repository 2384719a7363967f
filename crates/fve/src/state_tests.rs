//! Volumes in every state a conversion can leave them in, made from a finished one: what is plain on disk is put there
//! plain, and the metadata is sealed anew.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, reason = "tests, of numbers below 64 MiB")]

use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use block_io::{BlockRead, BlockWrite, MemoryDisk};
use fve_format::encrypt_on_write::{BitmapRecord, BlockMap, ConversionLog, ConversionLogRecord, Descriptor};
use fve_format::{
    EncryptionMethod, Filetime, METADATA_REGION_BYTES, MetadataBlock, MetadataEntry, VolumeHeader, VolumeState,
    key_type,
};
use secret::RecoveryPassword;

use crate::create::wrap_hash;
use crate::wrapping::NonceSource;
use crate::{CreateOptions, Error, NewVolume, Placement, UnlockOptions, UnlockedVolume, Vmk, Volume};

const VOLUME_BYTES: usize = 64 * 1024 * 1024;
const HEADER_BYTES: usize = 0x2000;
/// Where the records of a conversion lie in these tests, far from everything else.
const RECORDS_AT: usize = 0x80_0000;
const RECORDS_SPACE: usize = 0x8_0000;
const CHUNK: usize = 0x1_0000;
/// Two header sectors and 16 bytes for each sector of a chunk.
const LOG_RECORD: usize = 2 * 512 + CHUNK / 32;
const LOG: usize = 2 * 512 + 2 * LOG_RECORD;

/// A finished volume and what is in it.
struct Fixture {
    disk: Vec<u8>,
    plain: Vec<u8>,
    vmk: Vmk,
    block: MetadataBlock,
}

fn recovery() -> RecoveryPassword {
    RecoveryPassword::from_key(&[7; 16])
}

impl Fixture {
    fn new(method: EncryptionMethod) -> Self {
        let disk = MemoryDisk::new(vec![0; VOLUME_BYTES]);
        let placement = Placement::choose(VOLUME_BYTES as u64, 4096, 0).unwrap();
        let first = usize::try_from(placement.metadata_offsets[0]).unwrap();
        let options = CreateOptions {
            method,
            description: "TEST E: 2026-11-24".to_owned(),
            now: Filetime::from_system_time_ms(UNIX_EPOCH + Duration::from_secs(1_795_000_000)),
            recovery_password: recovery(),
            password: None,
            placement,
        };
        let new = NewVolume::begin(&disk, &options).unwrap();
        // A pattern that differs from sector to sector; zeros where the records will lie.
        let mut pattern: Vec<u8> = (0..VOLUME_BYTES).map(|at| ((at / 512) ^ (at / 7) ^ (at >> 17)) as u8).collect();
        pattern[RECORDS_AT..RECORDS_AT + RECORDS_SPACE].fill(0);
        for segment in new.volume().segments().filter(|segment| segment.source != crate::Source::Zeros) {
            let range = usize::try_from(segment.start_bytes).unwrap()..usize::try_from(segment.end_bytes).unwrap();
            new.volume().write_all_at(segment.start_bytes, &pattern[range]).unwrap();
        }
        new.finish().unwrap();
        let disk = disk.to_vec();
        let volume = Volume::open(MemoryDisk::new(disk.clone())).unwrap();
        let (vmk, _) = volume.unwrap_vmk(&recovery()).unwrap();
        let plain = read_all(&volume.unlock(&recovery(), UnlockOptions::default()).unwrap().0);
        let block = MetadataBlock::parse(&disk[first..first + METADATA_REGION_BYTES]).unwrap();
        Self { disk, plain, vmk, block }
    }

    fn header_at(&self) -> usize {
        usize::try_from(self.block.header.header_offset_bytes).unwrap()
    }

    /// BitLocker's own regions, in order.
    fn own(&self) -> Vec<Range<usize>> {
        let mut own: Vec<Range<usize>> = self
            .block
            .header
            .metadata_offsets
            .iter()
            .map(|at| usize::try_from(*at).unwrap())
            .map(|at| at..at + METADATA_REGION_BYTES)
            .collect();
        own.push(self.header_at()..self.header_at() + HEADER_BYTES);
        own.sort_by_key(|range| range.start);
        own
    }

    /// Stores a range plain: the relocated header at its place, BitLocker's own regions left alone.
    fn store_plain(&mut self, range: Range<usize>) {
        let (own, header_at) = (self.own(), self.header_at());
        for at in range.step_by(512) {
            if (header_at..header_at + HEADER_BYTES).contains(&at) {
                let from = at - header_at;
                self.disk[at..at + 512].copy_from_slice(&self.plain[from..from + 512]);
            } else if at >= HEADER_BYTES && !own.iter().any(|own| own.contains(&at)) {
                self.disk[at..at + 512].copy_from_slice(&self.plain[at..at + 512]);
            }
        }
    }

    /// Changes the metadata in all three copies.
    fn change(&mut self, change: impl FnOnce(&mut MetadataBlock)) {
        change(&mut self.block);
        let mut nonces = NonceSource::new(self.block.metadata.created, self.block.metadata.next_nonce);
        let nonce = nonces.take();
        self.block.metadata.next_nonce = nonces.next();
        let vmk = self.vmk.clone();
        self.block.seal(|bytes| wrap_hash(&vmk, &nonce, bytes)).unwrap();
        self.store_block();
    }

    /// Flags of the extension, sealed with the rest.
    fn seal_flags(&mut self, flags: u64) {
        self.change(|block| {
            let mut virtualization = block.virtualization().unwrap();
            virtualization.extension[8..16].copy_from_slice(&flags.to_le_bytes());
            let place = block.entries.iter_mut().find(|entry| entry.entry_type == 0x0F).unwrap();
            *place = virtualization.to_entry();
        });
    }

    fn store_block(&mut self) {
        let region = self.block.encode().unwrap();
        for at in self.block.header.metadata_offsets {
            let at = usize::try_from(at).unwrap();
            self.disk[at..at + region.len()].copy_from_slice(&region);
        }
    }

    fn open(&self) -> Volume<MemoryDisk> {
        Volume::open(MemoryDisk::new(self.disk.clone())).unwrap()
    }

    fn unlock(&self) -> Result<UnlockedVolume<MemoryDisk>, Error> {
        self.open().unlock(&recovery(), UnlockOptions::default()).map(|(unlocked, _)| unlocked)
    }
}

fn read_all(volume: &impl BlockRead) -> Vec<u8> {
    let mut out = vec![0; VOLUME_BYTES];
    volume.read_exact_at(0, &mut out).unwrap();
    out
}

/// Compares without printing 64 MiB, and reads in pieces that are not aligned, too.
fn assert_plain(volume: &impl BlockRead, expected: &[u8]) {
    let found = read_all(volume);
    // Whole buffers first: byte by byte is slow.
    if found != expected {
        let different = found.iter().zip(expected).position(|(found, expected)| found != expected);
        panic!("first byte that differs: {different:#x?}");
    }
    for (at, length) in [(1, 9000), (HEADER_BYTES - 3, 600), (RECORDS_AT - 5, 70_000), (0x210_0000 - 700, 100_000)] {
        let mut piece = vec![0; length];
        volume.read_exact_at(at as u64, &mut piece).unwrap();
        assert!(piece == expected[at..at + length], "{length} bytes at {at:#x}");
    }
}

#[test]
fn a_paused_conversion_is_read_and_written_on_both_sides_of_its_boundary() {
    for (method, boundary) in [
        (EncryptionMethod::AesXts128, 40 << 20),
        (EncryptionMethod::AesCbc128Diffuser, 20 << 20),
        // The relocated header itself is cut.
        (EncryptionMethod::AesCbc256, 0x211_0000 + 0x1000),
    ] {
        let mut fixture = Fixture::new(method);
        fixture.store_plain(boundary..VOLUME_BYTES);
        for state in [VolumeState::Paused, VolumeState::ConvertingPaused] {
            fixture.change(|block| {
                (block.header.state, block.header.next_state) = (state, VolumeState::Decrypted);
                block.header.encrypted_bytes = boundary as u64;
            });
            let volume = fixture.unlock().unwrap();
            assert_plain(&volume, &fixture.plain);
            assert_eq!(volume.why_read_only(), None);
            let mut expected = fixture.plain.clone();
            for at in [boundary - 1000, 100, 50 << 20, 10 << 20] {
                let data: Vec<u8> = (0..3000).map(|index| (index * 7 + at) as u8).collect();
                if volume.write_all_at(at as u64, &data).is_ok() {
                    expected[at..at + 3000].copy_from_slice(&data);
                }
            }
            assert_plain(&volume, &expected);
        }
    }
}

#[test]
fn writes_above_the_boundary_are_stored_plain_and_below_it_encrypted() {
    let mut fixture = Fixture::new(EncryptionMethod::AesXts128);
    fixture.store_plain(40 << 20..VOLUME_BYTES);
    fixture.change(|block| {
        (block.header.state, block.header.next_state) = (VolumeState::Paused, VolumeState::Encrypted);
        block.header.encrypted_bytes = 40 << 20;
    });
    let disk = MemoryDisk::new(fixture.disk.clone());
    let (volume, _) = Volume::open(&disk).unwrap().unlock(&recovery(), UnlockOptions::default()).unwrap();
    volume.write_all_at((40 << 20) - 16, &[b'A'; 32]).unwrap();
    let stored = disk.to_vec();
    assert_eq!(stored[40 << 20..(40 << 20) + 16], [b'A'; 16]);
    assert_ne!(stored[(40 << 20) - 16..40 << 20], [b'A'; 16]);
}

#[test]
fn sectors_that_were_being_converted_read_as_zeros_and_nothing_is_written() {
    let mut fixture = Fixture::new(EncryptionMethod::AesXts128);
    let (boundary, converting) = (40 << 20, 0x1_0000);
    fixture.store_plain(boundary + converting..VOLUME_BYTES);
    fixture.change(|block| {
        (block.header.state, block.header.next_state) = (VolumeState::Converting, VolumeState::Encrypted);
        block.header.encrypted_bytes = boundary as u64;
        block.header.conversion_bytes = converting as u32;
    });
    fixture.plain[boundary..boundary + converting].fill(0);
    let volume = fixture.unlock().unwrap();
    assert_plain(&volume, &fixture.plain);
    assert!(matches!(volume.write_all_at(0, b"x"), Err(block_io::Error::Refused { .. })));
}

#[test]
fn a_decrypted_volume_opens_without_a_key_and_can_be_written() {
    let mut fixture = Fixture::new(EncryptionMethod::AesXts128);
    fixture.store_plain(0..VOLUME_BYTES);
    fixture.change(|block| {
        (block.header.state, block.header.next_state) = (VolumeState::Decrypted, VolumeState::Decrypted);
        block.header.encrypted_bytes = 0;
        (block.metadata.method, block.metadata.preferred_method) = (EncryptionMethod::None, EncryptionMethod::None);
        block.entries.retain(|entry| !matches!(entry.entry_type, 2 | 3));
    });
    let clear = |bytes: &[u8]| MetadataEntry::key(0, key_type::METADATA_HASH, &fve_crypto::sha256(bytes));
    fixture.block.seal(clear).unwrap();
    fixture.store_block();

    let volume = fixture.open();
    assert!(volume.is_decrypted());
    assert!(matches!(fixture.unlock(), Err(Error::Decrypted)));
    let unlocked = volume.open_decrypted(UnlockOptions::default()).unwrap();
    assert_plain(&unlocked, &fixture.plain);
    unlocked.write_all_at(100, b"the relocated header, plain").unwrap();
    let mut read = [0; 27];
    unlocked.read_exact_at(100, &mut read).unwrap();
    assert_eq!(&read, b"the relocated header, plain");

    // The hash counts here, too.
    fixture.block.seal(|_| clear(b"something else")).unwrap();
    fixture.store_block();
    assert!(matches!(fixture.open().open_decrypted(UnlockOptions::default()), Err(Error::Tampered)));
}

/// One copy that says "decrypted", with the highest counter and a hash in the clear, beside two good ones.
#[test]
fn a_forged_copy_that_calls_the_volume_decrypted_is_not_believed() {
    let mut fixture = Fixture::new(EncryptionMethod::AesXts128);
    let mut forged = fixture.block.clone();
    (forged.header.state, forged.header.next_state) = (VolumeState::Decrypted, VolumeState::Decrypted);
    (forged.metadata.method, forged.metadata.next_nonce) = (EncryptionMethod::None, u32::MAX);
    for keep_keys in [true, false] {
        if !keep_keys {
            forged.entries.retain(|entry| !matches!(entry.entry_type, 2 | 3));
        }
        forged.seal(|bytes| MetadataEntry::key(0, key_type::METADATA_HASH, &fve_crypto::sha256(bytes))).unwrap();
        let at = usize::try_from(fixture.block.header.metadata_offsets[1]).unwrap();
        let region = forged.encode().unwrap();
        fixture.disk[at..at + region.len()].copy_from_slice(&region);
        let volume = fixture.open();
        assert!(!volume.is_decrypted());
        assert!(matches!(volume.open_decrypted(UnlockOptions::default()), Err(Error::Tampered)));
        assert_plain(&fixture.unlock().unwrap(), &fixture.plain);
    }
}

#[test]
fn of_several_fveks_the_one_that_opens_counts() {
    let mut fixture = Fixture::new(EncryptionMethod::AesXts128);
    fixture.change(|block| {
        let at = block.entries.iter().position(|entry| entry.entry_type == 3).unwrap();
        let mut other = block.entries[at].clone();
        other.data[40] ^= 1;
        block.entries.insert(at, other);
    });
    assert_plain(&fixture.unlock().unwrap(), &fixture.plain);
    fixture.change(|block| block.entries.retain(|entry| entry.entry_type != 3));
    assert!(matches!(fixture.unlock(), Err(Error::BadFvek { .. })));
}

/// The partition was made smaller than the metadata says, and the file system with it.
#[test]
fn a_shrunk_volume_is_whole_when_its_file_system_fits() {
    let fixture = Fixture::new(EncryptionMethod::AesXts128);
    let end = VOLUME_BYTES - (1 << 20);
    let open = |sectors: u64| {
        let disk = MemoryDisk::new(fixture.disk.clone());
        let (volume, _) = Volume::open(&disk).unwrap().unlock(&recovery(), UnlockOptions::default()).unwrap();
        let mut boot = [0; 512];
        boot[3..11].copy_from_slice(b"NTFS    ");
        boot[11..13].copy_from_slice(&512_u16.to_le_bytes());
        boot[0x28..0x30].copy_from_slice(&sectors.to_le_bytes());
        boot[510..].copy_from_slice(&[0x55, 0xAA]);
        volume.write_all_at(0, &boot).unwrap();
        let cut = MemoryDisk::new(disk.to_vec()[..end].to_vec());
        Volume::open(cut).unwrap().unlock(&recovery(), UnlockOptions::default()).map(|(volume, _)| volume)
    };
    let fits = (end / 512) as u64 - 1;
    let volume = open(fits).unwrap();
    assert_eq!((volume.geometry().length_bytes, volume.why_read_only()), (end as u64, None));
    assert!(matches!(open(fits + 1), Err(Error::Short { .. })));
    assert!(matches!(open(u64::MAX), Err(Error::Short { .. })));
}

#[test]
fn a_length_under_conversion_counts_in_every_state() {
    let mut fixture = Fixture::new(EncryptionMethod::AesXts128);
    fixture.store_plain(40 << 20..VOLUME_BYTES);
    fixture.change(|block| {
        (block.header.state, block.header.next_state) = (VolumeState::ConvertingPaused, VolumeState::Decrypted);
        (block.header.encrypted_bytes, block.header.conversion_bytes) = (40 << 20, 0x1_0000);
    });
    fixture.plain[40 << 20..(40 << 20) + 0x1_0000].fill(0);
    assert!(fixture.open().interrupted_range().is_some());
    let volume = fixture.unlock().unwrap();
    assert_plain(&volume, &fixture.plain);
    assert!(volume.why_read_only().is_some_and(|reason| reason.contains("interrupted")));
    fixture.change(|block| {
        (block.header.state, block.header.conversion_bytes) = (VolumeState::Unknown(9), 0);
    });
    assert!(fixture.unlock().unwrap().why_read_only().is_some_and(|reason| reason.contains("does not know")));
}

/// An encrypt-on-write conversion in progress.
struct Conversion {
    fixture: Fixture,
    /// Map by map: region, place of the map, bits.
    maps: Vec<BlockMap>,
}

impl Conversion {
    /// Every chunk whose number in its region is not a multiple of three is stored plain.
    fn new() -> Self {
        let mut fixture = Fixture::new(EncryptionMethod::AesXts128);
        let own = fixture.own();
        let mut regions = Vec::new();
        let mut at = HEADER_BYTES;
        for own in &own {
            if own.start > at {
                regions.push(at..own.start);
            }
            at = own.end;
        }
        regions.push(at..VOLUME_BYTES);
        regions.push(fixture.header_at()..fixture.header_at() + HEADER_BYTES);

        let mut header = VolumeHeader::parse(&fixture.disk[..512]).unwrap();
        header.encrypt_on_write = Some([RECORDS_AT as u64, RECORDS_AT as u64 + 0x1000]);
        fixture.disk[..512].copy_from_slice(&header.encode());
        let places: Vec<usize> = (0..regions.len()).map(|index| RECORDS_AT + 0x1_0000 * (index + 1)).collect();
        let descriptor = Descriptor {
            sector_bytes: 512,
            physical_sector_bytes: 512,
            chunk_bytes: CHUNK as u32,
            log_bytes: LOG as u32,
            log_record_bytes: LOG_RECORD as u32,
            copies: [RECORDS_AT as u64, RECORDS_AT as u64 + 0x1000],
            maps: places.iter().map(|place| *place as u64).collect(),
        };
        let mut maps = Vec::new();
        for (index, (region, place)) in regions.iter().zip(&places).enumerate() {
            let chunks = region.len().div_ceil(CHUNK);
            let mut bitmap = vec![0; 0x200 - 0x24];
            for chunk in 0..chunks {
                let start = region.start + chunk * CHUNK;
                if chunk % 3 == 0 {
                    bitmap[chunk / 8] |= 1 << (chunk % 8);
                } else {
                    fixture.store_plain(start..region.end.min(start + CHUNK));
                }
            }
            let record = |sequence, bitmap| Some(BitmapRecord { sequence, flags: 0, chunks: chunks as u32, bitmap });
            maps.push(BlockMap {
                index: index as u32,
                region_offset_bytes: region.start as u64,
                region_bytes: region.len() as u64,
                log_offset_bytes: *place as u64 + 0x1000,
                map_bytes: 0x600,
                record_offsets: [0x200, 0x400],
                record_bytes: 0x200,
                // The older record says something else.
                records: [record(10, bitmap), record(9, vec![0xFF; 0x200 - 0x24])],
            });
        }
        // Last, because plain chunks were stored over their places.
        let bytes = descriptor.encode().unwrap();
        for at in [RECORDS_AT, RECORDS_AT + 0x1000] {
            fixture.disk[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        for (map, place) in maps.iter().zip(&places) {
            fixture.disk[*place..place + 0x600].copy_from_slice(&map.encode().unwrap());
        }
        fixture.seal_flags(0x4A);
        Self { fixture, maps }
    }

    /// Where the log of a map lies.
    fn log_at(&self, map: usize) -> usize {
        usize::try_from(self.maps[map].log_offset_bytes).unwrap()
    }

    fn start_of(&self, map: usize, chunk: usize) -> usize {
        usize::try_from(self.maps[map].region_offset_bytes).unwrap() + chunk * CHUNK
    }

    /// Writes a log whose newest record holds the chunk as it is stored now.
    fn log(&mut self, map: usize, sequence: u64, chunk: usize) {
        let (at, start) = (self.log_at(map), self.start_of(map, chunk));
        let log = ConversionLog {
            state: 2,
            sector_bytes: 512,
            volume_bytes: VOLUME_BYTES as u64,
            chunk_bytes: CHUNK as u32,
            record_bytes: LOG_RECORD as u32,
            factor: 32,
            records: 2,
            watermark_bytes: self.maps[map].region_offset_bytes,
        };
        let body: Vec<u8> =
            self.fixture.disk[start..start + CHUNK].chunks(512).flat_map(|sector| sector[..16].to_vec()).collect();
        let record = ConversionLogRecord::new(sequence, start as u64, &body).encode();
        let disk = &mut self.fixture.disk;
        disk[at..at + 50].copy_from_slice(&log.encode());
        disk[at + 512..at + 544].copy_from_slice(&record);
        disk[at + 1024..at + 1024 + body.len()].copy_from_slice(&body);
    }
}

#[test]
fn an_encrypt_on_write_conversion_is_read_and_written_chunk_by_chunk() {
    let conversion = Conversion::new();
    let volume = conversion.fixture.unlock().unwrap();
    assert_plain(&volume, &conversion.fixture.plain);
    assert_eq!(volume.why_read_only(), None);

    // Over the border of an encrypted and a plain chunk, and into the relocated header.
    let disk = MemoryDisk::new(conversion.fixture.disk.clone());
    let (volume, _) = Volume::open(&disk).unwrap().unlock(&recovery(), UnlockOptions::default()).unwrap();
    let border = conversion.start_of(0, 1);
    let mut expected = conversion.fixture.plain.clone();
    for at in [border - 100, 5000] {
        volume.write_all_at(at as u64, &[b'B'; 200]).unwrap();
        expected[at..at + 200].fill(b'B');
    }
    assert_plain(&volume, &expected);
    let stored = disk.to_vec();
    assert_eq!(stored[border..border + 100], [b'B'; 100], "the plain chunk stays plain");
    assert_ne!(stored[border - 100..border], [b'B'; 100], "the encrypted chunk stays encrypted");
    for at in [RECORDS_AT, RECORDS_AT + 0x1_0000, RECORDS_AT + 0x1_1000] {
        assert!(matches!(volume.write_all_at(at as u64, b"x"), Err(block_io::Error::Refused { .. })), "{at:#x}");
    }
}

/// The first sector is sealed by nothing. Where only it speaks of a conversion, somebody may have changed it so that data
/// is written plain.
#[test]
fn a_conversion_that_the_sealed_metadata_does_not_know_is_read_only() {
    let mut conversion = Conversion::new();
    assert!(conversion.fixture.open().is_encrypt_on_write_sealed());
    conversion.fixture.seal_flags(0x0A);
    assert!(!conversion.fixture.open().is_encrypt_on_write_sealed());
    let volume = conversion.fixture.unlock().unwrap();
    assert!(volume.why_read_only().is_some_and(|reason| reason.contains("first sector")));
    assert!(matches!(volume.write_all_at(1 << 20, b"secret"), Err(block_io::Error::Refused { .. })));
}

/// Power failed while a chunk was rewritten: half of its sectors are encrypted, half are not.
#[test]
fn a_chunk_in_between_is_told_apart_sector_by_sector() {
    for chunk in [1, 3] {
        let mut conversion = Conversion::new();
        let start = conversion.start_of(0, chunk);
        conversion.log(0, 11, chunk);
        // Convert the first half: to plain where the chunk was encrypted, otherwise to what the key of this volume gives.
        if chunk % 3 == 0 {
            conversion.fixture.store_plain(start..start + CHUNK / 2);
        } else {
            let disk = MemoryDisk::new(conversion.fixture.disk.clone());
            conversion.fixture.disk = encrypt_range(&conversion, disk, start..start + CHUNK / 2);
        }
        let volume = conversion.fixture.unlock().unwrap();
        assert_plain(&volume, &conversion.fixture.plain);
        assert!(volume.why_read_only().is_some_and(|reason| reason.contains("interrupted")));
        assert!(matches!(volume.write_all_at(100, b"x"), Err(block_io::Error::Refused { .. })));
    }
}

/// Rewrites a range encrypted, through the same volume seen as encrypted everywhere.
fn encrypt_range(conversion: &Conversion, disk: MemoryDisk, range: Range<usize>) -> Vec<u8> {
    let header = disk.to_vec()[..512].to_vec();
    let mut normal = VolumeHeader::parse(&header).unwrap();
    normal.encrypt_on_write = None;
    disk.write_all_at(0, &normal.encode()).unwrap();
    let (volume, _) = Volume::open(&disk).unwrap().unlock(&recovery(), UnlockOptions::default()).unwrap();
    volume.write_all_at(range.start as u64, &conversion.fixture.plain[range]).unwrap();
    disk.write_all_at(0, &header).unwrap();
    disk.to_vec()
}

#[test]
fn a_log_of_a_finished_chunk_or_a_torn_one_changes_nothing() {
    // The sequence of the bitmap: that chunk is finished.
    let mut conversion = Conversion::new();
    conversion.log(0, 10, 3);
    conversion.fixture.store_plain(conversion.start_of(0, 1)..conversion.start_of(0, 2));
    let volume = conversion.fixture.unlock().unwrap();
    assert_plain(&volume, &conversion.fixture.plain);
    assert_eq!(volume.why_read_only(), None);
    // A newer one whose body was not written whole: the chunk had not been touched.
    conversion.log(0, 11, 3);
    let body = conversion.log_at(0) + 1024;
    conversion.fixture.disk[body + 100] ^= 1;
    let volume = conversion.fixture.unlock().unwrap();
    assert_plain(&volume, &conversion.fixture.plain);
    assert_eq!(volume.why_read_only(), None);
}

#[test]
fn damaged_records_of_a_conversion_are_refused_or_passed_over() {
    let conversion = Conversion::new();
    let check = |places: &[usize], expected: Option<&str>| {
        let mut disk = conversion.fixture.disk.clone();
        for place in places {
            disk[*place] ^= 1;
        }
        let volume = Volume::open(MemoryDisk::new(disk)).unwrap();
        assert!(volume.unwrap_vmk(&recovery()).is_ok(), "the keys are known whatever the map says");
        let found = match volume.unlock(&recovery(), UnlockOptions::default()) {
            Ok((unlocked, _)) => {
                assert_plain(&unlocked, &conversion.fixture.plain);
                None
            }
            Err(Error::NoConversionMap { reason }) => Some(reason),
            Err(other) => panic!("{other}"),
        };
        assert!(found.is_some() == expected.is_some(), "{found:?}");
        assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{found:?}");
    };
    let map = RECORDS_AT + 0x1_0000;
    check(&[RECORDS_AT + 20], None);
    check(&[RECORDS_AT + 20, RECORDS_AT + 0x1014], Some("both copies of its descriptor"));
    check(&[map + 24], Some("one of its maps"));
    // The older record says that everything is encrypted, so it must not count unless the newer one is damaged.
    check(&[map + 0x400 + 40], None);
    check(&[map + 0x200 + 40, map + 0x400 + 40], Some("both records"));
}

/// Where no map tells whether a place is encrypted, it is not guessed.
#[test]
fn a_conversion_whose_maps_leave_something_out_is_refused() {
    let mut conversion = Conversion::new();
    let place = RECORDS_AT + 0x1_0000;
    let mut map = conversion.maps[0].clone();
    map.region_bytes -= CHUNK as u64;
    conversion.fixture.disk[place..place + 0x600].copy_from_slice(&map.encode().unwrap());
    match conversion.fixture.unlock() {
        Err(Error::NoConversionMap { reason }) => assert!(reason.contains("leave out"), "{reason}"),
        other => panic!("{:?}", other.err()),
    }
}

/// A newer libbde reads such conversions, too.
#[test]
fn libbde_agrees_about_a_conversion() {
    let Some(python) = testkit::judges_python("pybde") else { return };
    let conversion = Conversion::new();
    let folder = tempfile::tempdir().unwrap();
    let (image, theirs) = (folder.path().join("conversion.img"), folder.path().join("plain"));
    std::fs::write(&image, &conversion.fixture.disk).unwrap();
    let digits = recovery().to_text();
    testkit::judges::libbde(&python, &image, testkit::judges::Secret::Recovery(digits.expose()), &theirs);
    let mut expected = conversion.fixture.plain.clone();
    expected[RECORDS_AT..RECORDS_AT + RECORDS_SPACE].fill(0);
    let mut found = std::fs::read(theirs).unwrap();
    found[RECORDS_AT..RECORDS_AT + RECORDS_SPACE].fill(0);
    let different = found.iter().zip(&expected).position(|(found, expected)| found != expected);
    assert_eq!(different.map(|at| format!("{at:#x}")), None);
    assert_eq!(found.len(), expected.len());
}

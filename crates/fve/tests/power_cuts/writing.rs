//! Writing to an unlocked volume: what was flushed is kept, and nothing else changes.

use std::cell::RefCell;

use block_io::BlockWrite;
use fve::convert::FsWrite;
use fve::{UnlockOptions, Volume};
use testkit::simulation::{Crashed, Random, SimDisk};

use crate::conversion::Scene;
use crate::simulation;
use crate::small::{SMALL, content, same_outside};

const SECTOR: usize = 512;

/// Writes of all lengths, with a flush now and then, each acknowledged by the number of writes so far.
fn work(disk: &SimDisk, scene: &Scene, writes: &RefCell<Vec<FsWrite>>) {
    let volume = Volume::open(disk).unwrap();
    let (unlocked, _) = volume.unlock(&scene.key, UnlockOptions::default()).unwrap();
    let mut random = Random::new(9);
    for number in 0..60_u64 {
        let longest = [40, 700, 3000, 9000][random.index(4)];
        let length = 1 + random.index(longest);
        // Over the border of the first sectors, which lie elsewhere, as often as in the midst.
        let offset_bytes = if random.one_in(2) { random.below(0x4000) } else { 0x6_0000 + random.below(0xC000) };
        let bytes: Vec<u8> = (0..length).map(|_| random.next().to_le_bytes()[0]).collect();
        unlocked.write_all_at(offset_bytes, &bytes).unwrap();
        writes.borrow_mut().push(FsWrite { offset_bytes, bytes });
        if random.one_in(3) {
            unlocked.flush().unwrap();
            disk.mark(number + 1);
        }
    }
}

/// Whether each sector is as the acknowledged writes left it, or as a later one did.
fn judge(found: &[u8], start: &[u8], writes: &[FsWrite], acknowledged: usize) -> Result<(), String> {
    let mut now = start.to_vec();
    let put = |bytes: &mut [u8], write: &FsWrite| {
        let at = usize::try_from(write.offset_bytes).unwrap();
        bytes[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
    };
    writes[..acknowledged].iter().for_each(|write| put(&mut now, write));
    let mut right: Vec<bool> =
        now.chunks(SECTOR).zip(found.chunks(SECTOR)).map(|(expected, found)| expected == found).collect();
    for write in &writes[acknowledged..] {
        put(&mut now, write);
        let sectors = write.range().start / SECTOR as u64..write.range().end.div_ceil(SECTOR as u64);
        for index in sectors.map(|index| usize::try_from(index).unwrap()) {
            let sector = index * SECTOR..(index + 1) * SECTOR;
            right[index] |= now[sector.clone()] == found[sector];
        }
    }
    // Places of the conversion that made the volume hold nothing of the file system.
    let mut masked = found.to_vec();
    for (index, _) in right.iter().enumerate().filter(|(_, right)| **right) {
        let sector = index * SECTOR..found.len().min((index + 1) * SECTOR);
        masked[sector.clone()].copy_from_slice(&now[sector]);
    }
    same_outside(&masked, &now)
}

#[test]
fn what_was_flushed_is_kept() {
    let (scene, disk) = Scene::finished(SMALL);
    let start = content(&disk, &scene.key).unwrap();
    let writes = RefCell::new(Vec::new());
    let record = |disk: &SimDisk| work(disk, &scene, &writes);
    let check = |crashed: Crashed, _: &mut Random| {
        let found = content(&crashed.disk, &scene.key)?;
        let acknowledged = usize::try_from(crashed.acknowledged).unwrap();
        judge(&found, &start, &writes.borrow(), acknowledged)
    };
    simulation().run("what_was_flushed_is_kept", &disk, record, check).unwrap_or_else(|failure| panic!("{failure}"));
}

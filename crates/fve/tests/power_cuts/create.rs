//! Making a new volume.

use std::cell::OnceCell;

use block_io::{BlockRead, BlockWrite};
use fve::{CreateOptions, EncryptionMethod, Filetime, NewVolume, Placement, UnlockOptions, Volume};
use testkit::simulation::{Crashed, SimDisk};

use crate::simulation;
use crate::small::{Known, recovery};

const VOLUME_BYTES: u64 = 64 << 20;
const CONTENT: &[u8] = b"over the border of a sector";

fn create(disk: &SimDisk) {
    let options = CreateOptions {
        method: EncryptionMethod::AesXts256,
        description: "CUT N: 2026-11-25".to_owned(),
        now: Filetime(134_000_000_000_000_000),
        recovery_password: recovery(),
        password: None,
        placement: Placement::choose(VOLUME_BYTES, 4096, 0).unwrap(),
    };
    let new = NewVolume::begin(disk, &options).unwrap();
    for at in [0, 1000, 40 << 20] {
        new.volume().write_all_at(at, CONTENT).unwrap();
    }
    new.volume().flush().unwrap();
    new.finish().unwrap();
    disk.mark(1);
}

#[test]
fn a_new_volume_is_there_whole_or_not_at_all() {
    let disk = SimDisk::new(vec![0; usize::try_from(VOLUME_BYTES).unwrap()]);
    let key = OnceCell::new();
    let record = |disk: &SimDisk| {
        create(disk);
        let (vmk, _) = Volume::open(disk).unwrap().unwrap_vmk(&recovery()).unwrap();
        let _ = key.set(Known(vmk));
    };
    let check = |crashed: Crashed, _: &mut testkit::simulation::Random| {
        let volume = match Volume::open(&crashed.disk) {
            Ok(volume) => volume,
            Err(fve::Error::NotBitLocker { .. }) if crashed.acknowledged == 0 => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        if volume.copies().iter().any(|copy| !copy.health.is_usable()) {
            return Err("a copy of the metadata is damaged".to_owned());
        }
        let key = key.get().ok_or("no key")?;
        let (unlocked, _) = volume.unlock(key, UnlockOptions::default()).map_err(|error| error.to_string())?;
        for at in [0, 1000, 40 << 20] {
            let mut read = [0; CONTENT.len()];
            unlocked.read_exact_at(at, &mut read).map_err(|error| error.to_string())?;
            if read != CONTENT {
                return Err(format!("what was written at {at} is lost"));
            }
        }
        Ok(())
    };
    let name = "a_new_volume_is_there_whole_or_not_at_all";
    simulation().run(name, &disk, record, check).unwrap_or_else(|failure| panic!("{failure}"));
}

//! Hostile and broken volumes: each file of `fixtures/volumes/bad` is one, with the error that it must give. None gives
//! wrong data, and none takes long.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use block_io::BlockRead;
use fve::{ClearKey, Error, ExternalKey, ExternalKeyFile, KeyMaterial, UnlockOptions, UnlockedVolume, Volume};
use testkit::volumes::recipe::{Damaged, Expect, Recipe, Secret};
use testkit::volumes::{METADATA_OFFSETS, SmallVolume, SparseDisk, State, bek_file, recovery_password};

/// Enough for a stretched password on a slow machine, far too little for a loop.
const MOST_TIME: Duration = Duration::from_secs(20);

fn recipes() -> Vec<Recipe> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/volumes/bad");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy();
            Recipe::parse(&name, &std::fs::read_to_string(path).unwrap()).unwrap()
        })
        .collect()
}

fn secret(kind: Secret) -> Box<dyn KeyMaterial> {
    match kind {
        Secret::ClearKey => Box::new(ClearKey),
        Secret::RecoveryPassword => Box::new(recovery_password()),
        Secret::ExternalKey => Box::new(ExternalKey::from_file(&ExternalKeyFile::parse(&bek_file()).unwrap()).unwrap()),
    }
}

fn unlock<'a>(
    volume: Volume<&'a SparseDisk>,
    material: &dyn KeyMaterial,
    allow_short: bool,
) -> Result<UnlockedVolume<&'a SparseDisk>, Error> {
    let options = UnlockOptions { allow_short };
    if volume.is_decrypted() {
        return volume.open_decrypted(options);
    }
    volume.unlock(material, options).map(|(unlocked, _)| unlocked)
}

/// Compares what the volume is known to hold, as far as it reaches; wrong data is told apart from an error.
fn check_content(unlocked: &UnlockedVolume<&SparseDisk>, content: &[(u64, Vec<u8>)]) -> Result<(), String> {
    let length = unlocked.geometry().length_bytes;
    for (at, plain) in content.iter().filter(|(at, plain)| at + plain.len() as u64 <= length) {
        let mut read = vec![0; plain.len()];
        unlocked.read_exact_at(*at, &mut read).map_err(|error| format!("read: {error}"))?;
        if read != *plain {
            return Err(format!("WRONG DATA at {at:#x}"));
        }
    }
    Ok(())
}

/// What comes of a damaged volume, in the words of the fixtures.
fn outcome(recipe: &Recipe, damaged: &Damaged) -> String {
    let volume = match damaged {
        Damaged::KeyFile(file) => {
            return ExternalKeyFile::parse(file).map_or_else(|error| format!("key file: {error}"), |_| "opens".into());
        }
        Damaged::Volume(volume) => volume,
    };
    let opened = match Volume::open(&volume.disk) {
        Ok(opened) => opened,
        Err(Error::NoMetadata { copies }) => {
            let mut texts: Vec<String> = copies.iter().map(|copy| copy.health.to_string()).collect();
            if texts.iter().all(|text| *text == texts[0]) {
                texts.truncate(1);
            }
            return format!("copies: {}", texts.join(" | "));
        }
        Err(error) => return format!("open: {error}"),
    };
    let copy = opened.copy_in_use() + 1;
    let unlocked = match unlock(opened, secret(recipe.secret).as_ref(), recipe.allow_short) {
        Ok(unlocked) => unlocked,
        Err(error) => return format!("unlock: {error}"),
    };
    if let Expect::Zeros(at) = recipe.expect {
        let mut read = [1; 512];
        return match unlocked.read_exact_at(at, &mut read) {
            Ok(()) if read == [0; 512] => format!("zeros: {at}"),
            Ok(()) => format!("WRONG DATA at {at:#x}"),
            Err(error) => format!("read: {error}"),
        };
    }
    match check_content(&unlocked, &volume.content) {
        Ok(()) if copy == 1 => "opens".to_owned(),
        Ok(()) => format!("opens: copy {copy}"),
        Err(text) => text,
    }
}

fn expected(expect: &Expect) -> String {
    match expect {
        Expect::Opens { copy: 1 } => "opens".to_owned(),
        Expect::Opens { copy } => format!("opens: copy {copy}"),
        Expect::Open(text) => format!("open: {text}"),
        Expect::Copies(texts) => format!("copies: {}", texts.join(" | ")),
        Expect::Unlock(text) => format!("unlock: {text}"),
        Expect::Read(text) => format!("read: {text}"),
        Expect::Zeros(at) => format!("zeros: {at}"),
        Expect::KeyFile(text) => format!("key file: {text}"),
    }
}

#[test]
fn every_damaged_volume_gives_the_error_its_fixture_names() {
    let recipes = recipes();
    let mut wrong = Vec::new();
    for recipe in &recipes {
        let damaged = recipe.make().unwrap();
        let start = Instant::now();
        // A panic is told like any other outcome, with the name of the fixture.
        let found = catch_unwind(AssertUnwindSafe(|| outcome(recipe, &damaged))).unwrap_or_else(|_| "PANIC".to_owned());
        assert!(start.elapsed() < MOST_TIME, "{} took {:?}", recipe.name, start.elapsed());
        if found != expected(&recipe.expect) {
            wrong.push(format!("{} => {found}", recipe.name));
        }
    }
    assert!(wrong.is_empty(), "other outcomes than the fixtures name:\n{}", wrong.join("\n"));
    assert!(recipes.len() > 150, "only {} fixtures", recipes.len());
}

#[test]
fn the_sound_volumes_open_with_each_of_their_secrets() {
    for (name, state) in State::ALL {
        let volume = SmallVolume::new(state);
        for kind in [Secret::ClearKey, Secret::RecoveryPassword, Secret::ExternalKey] {
            let opened = Volume::open(&volume.disk).unwrap();
            assert!(opened.copies().iter().all(|copy| matches!(copy.health, fve::CopyHealth::Good)), "{name}");
            let unlocked = unlock(opened, secret(kind).as_ref(), false).unwrap();
            assert_eq!(check_content(&unlocked, &volume.content), Ok(()), "{name}");
        }
    }
}

/// Opens the volume and compares: `None` where it is refused.
fn right_or_refused(volume: &SmallVolume, what: &str) -> Option<()> {
    let unlocked = Volume::open(&volume.disk).and_then(|opened| unlock(opened, &ClearKey, false)).ok()?;
    match check_content(&unlocked, &volume.content) {
        Ok(()) => Some(()),
        // An error of a read is a refusal, too.
        Err(text) => {
            assert!(text.starts_with("read: "), "{what}: {text}");
            None
        }
    }
}

/// Flips each bit of a range in turn; gives how many of the volumes opened.
fn flip_each(volume: &SmallVolume, name: &str, at: u64, length: usize, step: usize) -> usize {
    let original = volume.disk.bytes(at, length);
    let mut opened = 0;
    for bit in (0..length * 8).step_by(step) {
        let flipped = original[bit / 8] ^ 1 << (bit % 8);
        volume.disk.put(at + (bit / 8) as u64, &[flipped]);
        opened += usize::from(right_or_refused(volume, &format!("bit {bit} of {name}")).is_some());
        volume.disk.put(at + (bit / 8) as u64, &[original[bit / 8]]);
    }
    opened
}

/// Block and validation record of a copy.
fn copy_bytes(volume: &SmallVolume) -> usize {
    usize::try_from(volume.places["validation"][0] - METADATA_OFFSETS[0]).unwrap() + 88
}

/// Every bit of each copy: with the other two there, the volume opens as before.
#[test]
fn a_flipped_bit_of_one_copy_is_made_good_by_another() {
    let volume = SmallVolume::new(State::Encrypted);
    let length = copy_bytes(&volume);
    for (index, at) in METADATA_OFFSETS.into_iter().enumerate() {
        assert_eq!(flip_each(&volume, &format!("copy {}", index + 1), at, length, 1), length * 8);
    }
}

/// Every bit of each copy where it is the only one: the volume opens as before or is refused.
#[test]
fn a_flipped_bit_of_the_only_copy_never_gives_wrong_data() {
    for (name, state) in State::ALL {
        let volume = SmallVolume::new(state);
        let length = copy_bytes(&volume);
        // All three in the state that most volumes are in; elsewhere one of every eleven bits of the first.
        let (copies, step) = if state == State::Encrypted { (3, 1) } else { (1, 11) };
        // On Vista the first block is the one that names the others.
        for chosen in METADATA_OFFSETS.into_iter().take(copies) {
            let lonely = volume.clone();
            for other in METADATA_OFFSETS.into_iter().filter(|other| *other != chosen) {
                lonely.disk.put(other, &vec![0; length]);
            }
            let what = format!("the copy at {chosen:#x} of {name}");
            assert!(right_or_refused(&lonely, &what).is_some(), "{what} is enough");
            let opened = flip_each(&lonely, &what, chosen, length, step);
            // Nothing covers three fields of 16 bits: the size of the validation record, type and flags of the hash.
            assert!(opened <= 48, "{opened} flips in {what} went unnoticed");
        }
    }
}

/// The volume header and the records of a conversion have weaker protection than the metadata, or none.
#[test]
fn a_flipped_bit_elsewhere_never_gives_wrong_data() {
    let structures = [
        ("header", 512),
        ("descriptor1", 0x48),
        ("descriptor2", 0x48),
        ("map0", 0x600),
        ("map1", 0x600),
        ("log0", 50),
        ("log0.end", 50),
        ("log0.record", 32),
        ("log0.body", 0x800),
        ("log1", 50),
        ("log1.record", 32),
    ];
    for (name, state) in State::ALL {
        let volume = SmallVolume::new(state);
        for (structure, length) in structures {
            for at in volume.places.get(structure).into_iter().flatten() {
                flip_each(&volume, &format!("{structure} of {name}"), *at, length, if length > 512 { 7 } else { 1 });
            }
        }
    }
}

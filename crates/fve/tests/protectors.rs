//! Changing key protectors: on volumes we make, and on copies of those that Windows made.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Layered, NOW, PASSWORD, images, made, recovery};
use fve::{
    ClearKey, Error, ExternalKey, Filetime, Guid, Holder, KeyMaterial, KeyProtector, MasterKey, MetadataEditor,
    Password, ProtectorKind, Remaining, Volume, open_key_package,
};
use fve_format::{METADATA_REGION_BYTES, MetadataBlock, MetadataEntry, entry_type};
use secret::{RecoveryPassword, SecretString};

fn edit<'a>(disk: &'a Layered, material: &dyn KeyMaterial) -> MetadataEditor<&'a Layered> {
    Volume::open(disk).unwrap().edit(material, NOW).unwrap()
}

fn opens(disk: &Layered, material: &dyn KeyMaterial) -> Option<Guid> {
    Volume::open(disk).unwrap().unwrap_vmk(material).ok().map(|(_, identifier)| identifier)
}

fn password(text: &str) -> Password {
    Password(SecretString::from(text))
}

/// The three copies as they are stored, which are the same after every change.
fn block(disk: &Layered) -> MetadataBlock {
    let volume = Volume::open(disk).unwrap();
    let regions: Vec<Vec<u8>> =
        volume.copies().iter().map(|copy| disk.bytes(copy.offset_bytes.unwrap(), METADATA_REGION_BYTES)).collect();
    assert!(regions[0] == regions[1] && regions[1] == regions[2], "the copies differ");
    MetadataBlock::parse(&regions[0]).unwrap()
}

fn find(disk: &Layered, kind: ProtectorKind) -> Option<KeyProtector> {
    block(disk).protectors().into_iter().find(|protector| protector.kind() == kind)
}

#[test]
fn each_kind_is_added_opens_and_is_removed_again() {
    let disk = made(None);
    let before = block(&disk);
    let second = RecoveryPassword::from_key(&[9; 16]);
    let mut editor = edit(&disk, &recovery());
    assert!(!editor.is_changed());
    let added = editor.add_recovery_password(&second, Some("a name")).unwrap();
    let word = editor.add_password(&SecretString::from("new pass word")).unwrap();
    let file = editor.add_external_key().unwrap();
    let key = ExternalKey::from_file(&file).unwrap();
    assert_eq!(file.encode().unwrap().len(), 156);
    // Nothing is stored before the commit.
    assert!(editor.is_changed() && block(&disk) == before);
    editor.commit().unwrap();
    assert_eq!(opens(&disk, &second), Some(added));
    assert_eq!(opens(&disk, &password("new pass word")), Some(word));
    assert_eq!(opens(&disk, &key), Some(file.identifier));
    assert!(opens(&disk, &recovery()).is_some());

    let after = block(&disk);
    assert!(after.metadata.next_nonce > before.metadata.next_nonce);
    assert_eq!(after.entries.last().unwrap().entry_type, entry_type::VIRTUALIZATION);
    // What was there is there, byte for byte and in order; the new ones stand together before the last.
    let kept: Vec<&MetadataEntry> = after.entries.iter().filter(|entry| before.entries.contains(entry)).collect();
    assert_eq!(kept, before.entries.iter().collect::<Vec<_>>());
    let sizes: Vec<usize> = after.entries[3..6].iter().map(MetadataEntry::encoded_bytes).collect();
    // As Windows makes them: 0x120 (and a name of 8 + 14 bytes), 0xE0, 0xF0.
    assert_eq!(sizes, [0x120 + 22, 0xE0, 0xF0]);
    let (vmk, _) = Volume::open(&disk).unwrap().unwrap_vmk(&key).unwrap();
    let shown = Volume::open(&disk).unwrap().recovery_passwords(&vmk);
    assert!(shown.iter().any(|(identifier, shown)| *identifier == added && *shown == second));

    let mut editor = edit(&disk, &key);
    for identifier in [added, word, file.identifier] {
        editor.remove(identifier, Remaining::PersonsKey).unwrap();
        editor.commit().unwrap();
    }
    assert!(opens(&disk, &second).is_none() && opens(&disk, &password("new pass word")).is_none());
    assert!(opens(&disk, &key).is_none() && opens(&disk, &recovery()).is_some());
    assert_eq!(block(&disk).entries, before.entries);
}

#[test]
fn the_last_usable_protector_cannot_be_removed() {
    let disk = made(Some(PASSWORD));
    let (word, digits) = (find(&disk, ProtectorKind::Password).unwrap(), recovery());
    let recovery_id = find(&disk, ProtectorKind::RecoveryPassword).unwrap().identifier;
    let mut editor = edit(&disk, &digits);
    editor.remove(word.identifier, Remaining::PersonsKey).unwrap();
    for remaining in [Remaining::PersonsKey, Remaining::AnyKey] {
        assert!(matches!(editor.remove(recovery_id, remaining), Err(Error::LastProtector)));
    }
    // A clear key is none to keep.
    editor.suspend().unwrap();
    assert!(matches!(editor.remove(recovery_id, Remaining::AnyKey), Err(Error::LastProtector)));
    assert!(matches!(editor.remove(word.identifier, Remaining::AnyKey), Err(Error::NoProtector { .. })));
}

/// The protector that is left must work, and so much that it can be told.
#[test]
fn a_damaged_protector_does_not_count() {
    let disk = made(Some(PASSWORD));
    common::reseal(&disk, |entries| {
        for entry in entries.iter_mut().filter(|entry| entry.entry_type == entry_type::PROTECTOR) {
            let mut parts = entry.nested().unwrap();
            let is_password = parts.iter().any(|part| part.data[..2] == [1, 0x10]);
            if is_password {
                *parts.last_mut().unwrap().data.last_mut().unwrap() ^= 1;
            }
            *entry = entry.with_nested(&parts).unwrap();
        }
    });
    assert!(opens(&disk, &password(PASSWORD)).is_none());
    let recovery_id = find(&disk, ProtectorKind::RecoveryPassword).unwrap().identifier;
    let mut editor = edit(&disk, &recovery());
    assert!(matches!(editor.remove(recovery_id, Remaining::AnyKey), Err(Error::LastProtector)));
    editor.add_external_key().unwrap();
    editor.remove(recovery_id, Remaining::PersonsKey).unwrap();
}

#[test]
fn the_password_is_changed_in_its_place() {
    let disk = made(Some(PASSWORD));
    let before = find(&disk, ProtectorKind::Password).unwrap();
    let mut editor = edit(&disk, &recovery());
    assert!(matches!(editor.add_password(&SecretString::from("x")), Err(Error::HasPassword { .. })));
    assert_eq!(editor.change_password(&SecretString::from("another one")).unwrap(), before.identifier);
    editor.commit().unwrap();
    let after = find(&disk, ProtectorKind::Password).unwrap();
    assert_eq!(after.identifier, before.identifier);
    assert!(after.modified > before.modified && after.entries[0].data[4..20] != before.entries[0].data[4..20]);
    assert_eq!(opens(&disk, &password("another one")), Some(before.identifier));
    assert!(opens(&disk, &password(PASSWORD)).is_none());

    let without = made(None);
    let mut editor = edit(&without, &recovery());
    assert!(matches!(editor.change_password(&SecretString::from("x")), Err(Error::NoSuchProtector { .. })));
}

#[test]
fn suspending_opens_the_volume_to_all_and_resuming_takes_that_back() {
    let disk = made(Some(PASSWORD));
    let mut editor = edit(&disk, &recovery());
    assert!(matches!(editor.unsuspend(), Err(Error::NotSuspended)));
    let clear = editor.suspend().unwrap();
    editor.commit().unwrap();
    assert_eq!(opens(&disk, &ClearKey), Some(clear));
    let stored = block(&disk);
    let entry = stored.entries.iter().find(|entry| entry.data[..16] == clear.to_bytes()).unwrap();
    assert_eq!((entry.encoded_bytes(), entry.flags), (0xA0, 1));
    assert!(matches!(edit(&disk, &ClearKey).suspend(), Err(Error::AlreadySuspended)));

    // Somebody copies the metadata now.
    let (old, _) = Volume::open(&disk).unwrap().unwrap_vmk(&ClearKey).unwrap();
    let mut editor = edit(&disk, &ClearKey);
    let resumed = editor.unsuspend().unwrap();
    assert_eq!(resumed.removed, [clear]);
    assert!(matches!(resumed.master_key, MasterKey::Replaced));
    editor.commit().unwrap();
    assert!(opens(&disk, &ClearKey).is_none());
    for material in [&recovery() as &dyn KeyMaterial, &password(PASSWORD)] {
        let volume = Volume::open(&disk).unwrap();
        let (vmk, _) = volume.unwrap_vmk(material).unwrap();
        assert!(vmk != old && !volume.recovery_passwords(&vmk).is_empty());
        assert!(volume.recovery_passwords(&old).is_empty());
    }
    common::assert_content(&disk, &recovery());
}

#[test]
fn a_clear_key_alone_is_not_taken_away() {
    let disk = common::small(testkit::volumes::State::Encrypted, |entries| {
        entries.retain(|entry| entry.data.get(26..28) != Some(&[0, 8]) && entry.data.get(26..28) != Some(&[0, 2]));
    });
    assert!(matches!(edit(&disk, &ClearKey).unsuspend(), Err(Error::LastProtector)));
}

#[test]
fn a_new_master_key_reaches_all_protectors() {
    let disk = made(Some(PASSWORD));
    let mut editor = edit(&disk, &recovery());
    let file = editor.add_external_key().unwrap();
    let clear = editor.suspend().unwrap();
    editor.commit().unwrap();
    editor.replace_master_key().unwrap();
    editor.commit().unwrap();
    let key = ExternalKey::from_file(&file).unwrap();
    for material in [&recovery() as &dyn KeyMaterial, &password(PASSWORD), &key, &ClearKey] {
        assert!(opens(&disk, material).is_some());
        common::assert_content(&disk, material);
    }
    assert_eq!(opens(&disk, &ClearKey), Some(clear));
    // The copies of the keys went along: it can be done again.
    let mut editor = edit(&disk, &key);
    editor.replace_master_key().unwrap();
    editor.commit().unwrap();
    common::assert_content(&disk, &recovery());
}

#[test]
fn entries_that_nobody_knows_are_kept_and_hold_the_master_key() {
    let unknown = MetadataEntry::stored(0x77, 0x55, vec![1, 2, 3]);
    let disk = made(Some(PASSWORD));
    common::reseal(&disk, |entries| entries.insert(1, unknown.clone()));
    let mut editor = edit(&disk, &recovery());
    editor.add_external_key().unwrap();
    editor.change_password(&SecretString::from("another one")).unwrap();
    assert!(matches!(editor.replace_master_key(), Err(Error::MasterKeyStays { identifier: None, .. })));
    editor.commit().unwrap();
    assert_eq!(block(&disk).entries[1], unknown);
    let mut editor = edit(&disk, &recovery());
    editor.suspend().unwrap();
    assert!(matches!(editor.unsuspend().unwrap().master_key, MasterKey::Kept(_)));
    editor.commit().unwrap();
    assert!(opens(&disk, &ClearKey).is_none() && opens(&disk, &password("another one")).is_some());
}

/// A TPM's protector and a nameless key file belong to a computer: what a person has goes only when that is said.
#[test]
fn keys_of_computers_alone_are_left_only_when_asked_for() {
    let tpm = KeyProtector {
        identifier: Guid::from_random([0x71; 16]),
        modified: Filetime(1),
        hints: 0,
        protection: ProtectorKind::Tpm.protection(),
        entries: vec![MetadataEntry::stored(0, 6, vec![0; 40])],
    };
    assert_eq!(Holder::of(&tpm), Holder::Elsewhere);
    let disk = made(None);
    common::reseal(&disk, |entries| entries.insert(1, tpm.to_entry().unwrap()));
    let recovery_id = find(&disk, ProtectorKind::RecoveryPassword).unwrap().identifier;
    let mut editor = edit(&disk, &recovery());
    assert!(matches!(editor.remove(recovery_id, Remaining::PersonsKey), Err(Error::LastPersonsProtector)));
    let why = editor.replace_master_key();
    assert!(matches!(why, Err(Error::MasterKeyStays { identifier: Some(it), .. }) if it == tpm.identifier), "{why:?}");
    editor.remove(recovery_id, Remaining::AnyKey).unwrap();
    assert!(matches!(editor.remove(tpm.identifier, Remaining::AnyKey), Err(Error::LastProtector)));
    editor.commit().unwrap();
    assert_eq!(find(&disk, ProtectorKind::Tpm).unwrap().entries, tpm.entries);
}

#[test]
fn too_many_protectors_and_too_much_metadata_are_refused() {
    let disk = made(None);
    let mut editor = edit(&disk, &recovery());
    for _ in 0..63 {
        editor.add_external_key().unwrap();
    }
    assert!(matches!(editor.add_external_key(), Err(Error::TooManyProtectors { found: 65, most: 64 })));
    editor.commit().unwrap();
    let before = block(&disk);
    let mut editor = edit(&disk, &recovery());
    editor.rename(before.protectors()[1].identifier, Some(&"x".repeat(25_000))).unwrap();
    assert!(matches!(editor.commit(), Err(Error::MetadataFull { .. })));
    assert_eq!(block(&disk), before);
}

#[test]
fn volumes_that_must_be_left_alone_are() {
    use testkit::volumes::State;
    for (name, state) in State::ALL {
        let disk = common::small(state, |_| {});
        let edited = Volume::open(&disk).unwrap().edit(&testkit::volumes::recovery_password(), NOW);
        match (state, edited) {
            (State::Decrypted, Err(Error::Decrypted))
            | (State::Converting | State::Vista, Err(Error::CannotEdit { .. })) => {}
            (State::Decrypted | State::Converting | State::Vista, other) => panic!("{name}: {:?}", other.err()),
            (_, Ok(mut editor)) => {
                let added = RecoveryPassword::from_key(&[5; 16]);
                editor.add_recovery_password(&added, None).unwrap();
                let finished = matches!(state, State::Encrypted | State::ToGo);
                assert_eq!(editor.replace_master_key().is_ok(), finished, "{name}");
                editor.commit().unwrap();
                assert!(opens(&disk, &added).is_some(), "{name}");
            }
            (_, Err(error)) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn a_wrong_secret_and_a_first_sector_that_leads_elsewhere_change_nothing() {
    let disk = made(None);
    let wrong = Volume::open(&disk).unwrap().edit(&RecoveryPassword::from_key(&[8; 16]), NOW);
    assert!(matches!(wrong, Err(Error::WrongSecret { .. })));
    let mut sector = disk.bytes(0, 512);
    sector[0xB8..0xC0].copy_from_slice(&0x30_0000_u64.to_le_bytes());
    disk.put(0, &sector);
    let elsewhere = Volume::open(&disk).unwrap().edit(&recovery(), NOW);
    assert!(matches!(elsewhere, Err(Error::CannotEdit { .. })));
}

#[test]
fn damaged_and_older_copies_are_restored_from_the_newest_genuine_one() {
    let places =
        |disk: &Layered| Volume::open(disk).unwrap().copies().each_ref().map(|copy| copy.offset_bytes.unwrap());
    for damaged in [vec![0], vec![1], vec![2], vec![0, 1], vec![0, 2], vec![1, 2]] {
        let disk = made(None);
        let good = block(&disk);
        for index in &damaged {
            disk.put(places(&disk)[*index] + 0x80, &[0xFF; 700]);
        }
        let mut editor = edit(&disk, &recovery());
        assert_eq!(editor.to_repair(), damaged);
        assert_eq!(editor.repair().unwrap(), damaged);
        assert_eq!((block(&disk), editor.to_repair().len()), (good, 0));
    }
    // A change that reached one copy only, and a copy that nobody sealed, which claims to be newer than all.
    let disk = made(None);
    let old = disk.bytes(places(&disk)[1], METADATA_REGION_BYTES);
    let added = RecoveryPassword::from_key(&[5; 16]);
    let mut editor = edit(&disk, &recovery());
    editor.add_recovery_password(&added, None).unwrap();
    editor.commit().unwrap();
    let new = block(&disk);
    disk.put(places(&disk)[1], &old);
    let mut forged = new.clone();
    forged.metadata.next_nonce = 5000;
    forged.seal(|_| new.validation.hash.clone()).unwrap();
    disk.put(places(&disk)[0], &forged.encode().unwrap());
    let mut editor = edit(&disk, &recovery());
    assert_eq!(editor.to_repair(), [0, 1]);
    editor.commit().unwrap();
    assert_eq!(block(&disk), new);
}

#[test]
fn a_key_package_gives_the_keys_to_whoever_has_the_secret() {
    let disk = made(Some(PASSWORD));
    let volume = Volume::open(&disk).unwrap();
    let (vmk, identifier) = volume.unwrap_vmk(&recovery()).unwrap();
    let package = volume.key_package(&vmk, identifier).unwrap();
    let read = fve::KeyPackage::parse(&package.encode().unwrap()).unwrap();
    let (found, fvek, opened) = open_key_package(&read, &recovery()).unwrap();
    assert!(found == vmk && opened == identifier && fvek.method() == volume.metadata().method);
    assert!(matches!(open_key_package(&read, &password(PASSWORD)), Err(Error::NoSuchProtector { .. })));
    let unknown = Guid::from_random([0; 16]);
    assert!(matches!(volume.key_package(&vmk, unknown), Err(Error::NoProtector { .. })));
}

/// Damaged and forged volumes: a change is refused and nothing is written, or all copies are whole and open afterwards.
#[test]
fn damaged_volumes_are_not_made_worse() {
    use testkit::volumes::recipe::{Damaged, Recipe};
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/volumes/bad");
    let (mut changed, mut refused) = (0, 0);
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let recipe = Recipe::parse(&name, &std::fs::read_to_string(&path).unwrap()).unwrap();
        let Damaged::Volume(volume) = recipe.make().unwrap() else { continue };
        let disk = common::layered(volume.disk);
        let Ok(opened) = Volume::open(&disk) else { continue };
        let done = opened.edit(&ClearKey, NOW).and_then(|mut editor| {
            let file = editor.add_external_key()?;
            editor.commit()?;
            Ok(file)
        });
        match done {
            Ok(file) => {
                assert!(opens(&disk, &ClearKey).is_some(), "{name}");
                assert!(opens(&disk, &ExternalKey::from_file(&file).unwrap()).is_some(), "{name}");
                block(&disk);
                changed += 1;
            }
            Err(error) => {
                assert_eq!(disk.writes(), 0, "{name}: {error}");
                refused += 1;
            }
        }
    }
    assert!(changed > 3 && refused > 10, "{changed} changed, {refused} refused");
}

/// Every writable volume of Windows: one of each kind is added, the rest kept byte for byte, and all of it taken back.
#[test]
fn volumes_of_windows_take_every_change() {
    let Some(corpus) = testkit::corpus() else { return };
    let mut edited = 0;
    for image in images(&corpus) {
        let disk = Layered::over(&image.path);
        let secrets = image.secrets(&corpus);
        let Some((_, material)) = secrets.first() else { continue };
        let mut editor = match Volume::open(&disk).unwrap().edit(material.as_ref(), NOW) {
            Ok(editor) => editor,
            Err(Error::CannotEdit { .. }) if image.name == "win-vista" => continue,
            Err(error) => panic!("{}: {error}", image.name),
        };
        let before = Volume::open(&disk).unwrap().protectors();
        let repaired = editor.to_repair().len();
        assert_eq!(repaired, if image.name.ends_with("-crc") { 2 } else { 0 }, "{}", image.name);
        let entries = {
            editor.repair().unwrap();
            block(&disk).entries
        };
        let added = RecoveryPassword::random();
        let mut new = vec![editor.add_recovery_password(&added, None).unwrap()];
        let file = editor.add_external_key().unwrap();
        new.push(file.identifier);
        editor.commit().unwrap();
        let kept: Vec<_> = block(&disk).entries.into_iter().filter(|entry| entries.contains(entry)).collect();
        assert_eq!(kept, entries, "{}", image.name);

        // A new master key, where all protectors can be carried over: every secret opens what it opened before.
        let replaced = editor.replace_master_key();
        let converting = Volume::open(&disk).unwrap().header().encrypt_on_write.is_some();
        assert_eq!(replaced.is_ok(), !converting, "{}: {replaced:?}", image.name);
        editor.commit().unwrap();
        let key = ExternalKey::from_file(&file).unwrap();
        let mut all: Vec<&dyn KeyMaterial> = secrets.iter().map(|(_, material)| material.as_ref()).collect();
        all.extend([&added as &dyn KeyMaterial, &key]);
        for material in all {
            assert!(opens(&disk, material).is_some(), "{} by {}", image.name, material.kind());
        }
        for identifier in new {
            editor
                .remove(identifier, Remaining::PersonsKey)
                .or_else(|_| editor.remove(identifier, Remaining::AnyKey))
                .ok();
        }
        editor.commit().unwrap();
        assert!(opens(&disk, material.as_ref()).is_some());
        let after = Volume::open(&disk).unwrap().protectors();
        let ids = |list: &[KeyProtector]| list.iter().map(|it| (it.identifier, it.protection)).collect::<Vec<_>>();
        if image.name != "bitlk-aes-xts-128-clearkey-only" && image.name != "win-suspended" {
            assert_eq!(ids(&after), ids(&before), "{}", image.name);
        }
        if let (Some(hash), false) = (image.field("SHA256SUM"), converting) {
            assert_eq!(common::plain_sha256(&disk, material.as_ref()), hash, "{}", image.name);
        }
        edited += 1;
    }
    assert!(edited > 12, "only {edited} volumes were changed");
}

//! What can be told of a drive and its protectors without a key.

use block_io::BlockRead;
use fve::{BackupInfo, EncryptionMethod, Guid, KeyProtector, ProtectorKind, Value, Volume, VolumeLayout, VolumeState};

use crate::{convert, drive};

/// The first eight characters of an identifier: what a locked PC shows as "key ID".
#[must_use]
pub fn key_id(identifier: Guid) -> String {
    identifier.to_string()[..8].to_owned()
}

/// The layout in words.
#[must_use]
pub fn layout_name(layout: VolumeLayout) -> &'static str {
    match layout {
        VolumeLayout::Fixed => "fixed drive",
        VolumeLayout::ToGo => "BitLocker To Go",
        VolumeLayout::Vista => "Windows Vista",
    }
}

/// State in words: now, on the way to, and an encrypt-on-write conversion that only the volume header tells.
#[must_use]
pub fn state_name<D: BlockRead>(volume: &Volume<D>) -> String {
    let (now, next) = volume.state();
    let converting = volume.header().encrypt_on_write.is_some();
    let suspended = drive::kinds(volume).contains(&ProtectorKind::ClearKey);
    if let Some(conversion) = volume.in_place_conversion() {
        return convert::state(&conversion);
    }
    let mut name = match (now, next) {
        _ if volume.is_decrypted() => "decrypted".to_owned(),
        _ if converting => "encrypt-on-write conversion under way".to_owned(),
        (now, next) if now == next => now.to_string(),
        (now, next) => format!("{now}, on the way to {next}"),
    };
    if suspended && now != VolumeState::Decrypted {
        name.push_str(", protection suspended");
    }
    name
}

/// Whether sectors of this method can be read here.
#[must_use]
pub fn is_supported(method: EncryptionMethod) -> bool {
    !matches!(method, EncryptionMethod::Unknown(_))
}

/// Kinds that this program can unlock with; the others need the PC they belong to.
#[must_use]
pub fn can_be_used(kind: ProtectorKind) -> bool {
    matches!(
        kind,
        ProtectorKind::RecoveryPassword
            | ProtectorKind::Password
            | ProtectorKind::ExternalKey
            | ProtectorKind::ClearKey
    )
}

/// What a protector is called on the drive.
#[must_use]
pub fn name(protector: &KeyProtector) -> Option<String> {
    protector.entries.iter().find_map(|entry| match entry.value() {
        Ok(Value::Unicode(name)) => Some(name),
        _ => None,
    })
}

/// When and how Windows backed it up.
#[must_use]
pub fn backup(protector: &KeyProtector) -> Option<BackupInfo> {
    protector.entries.iter().find_map(|entry| match entry.value() {
        Ok(Value::BackupInfo(backup)) => Some(backup),
        _ => None,
    })
}

/// What a person must know about a protector, where its name alone does not tell.
#[must_use]
pub fn explanation(protector: &KeyProtector) -> Option<&'static str> {
    Some(match protector.kind() {
        ProtectorKind::ClearKey => "anyone can open this drive: its key lies in the clear",
        ProtectorKind::Tpm => "opens only in the PC it belongs to, by itself; not supported here",
        ProtectorKind::TpmAndPin => "opens only in the PC it belongs to, with its PIN; not supported here",
        ProtectorKind::TpmAndStartupKey => "opens only in the PC it belongs to, with its .BEK file; not supported here",
        ProtectorKind::TpmPinAndStartupKey => {
            "opens only in the PC it belongs to, with its PIN and .BEK file; not supported here"
        }
        ProtectorKind::PublicKey => {
            "opens with the smart card or the private key of its certificate; not supported here"
        }
        ProtectorKind::Unknown(_) => "not known to this program and not supported here; it is left as it is",
        ProtectorKind::ExternalKey if name(protector).is_none() => {
            "a key file without a name: made for a PC that unlocks this drive by itself, or by an older Windows"
        }
        _ => return None,
    })
}

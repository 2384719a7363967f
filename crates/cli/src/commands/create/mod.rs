//! `keyhaven create`: a new, empty BitLocker volume in an image file or on a block device.

mod add;

use std::path::PathBuf;

use block_io::BlockRead;
use clap::{Args, ValueEnum};
use drive_ops::create::{FileSystem, Making, NewDrive, Plan, Target};
use fve::EncryptionMethod;
use secret::{RecoveryPassword, SecretString};
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::{lock, output, progress, prompt, recovery_file, secrets};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven create safe.img --size 256M --filesystem fat32 --recovery-out key.txt\n\n\
    On a device, everything that is on it is lost: keyhaven create /dev/sdb1 --filesystem exfat --recovery-out key.txt")]
pub(crate) struct CreateArgs {
    /// The image file to make (an existing file is never overwritten), or a block device
    #[arg(value_name = "FILE|DEVICE")]
    file: PathBuf,
    /// Size of the volume in a file, for instance 256M or 4G; 64M at least. A device is used as a whole
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    size: Option<u64>,
    /// How sectors are encrypted
    #[arg(long, value_enum, default_value_t = Method::XtsAes128)]
    method: Method,
    /// With AES-CBC: diffuse every sector before it is encrypted, as Windows Vista and 7 do; Windows 8 to 11 read it
    #[arg(long)]
    diffuser: bool,
    /// Sector size of the volume: 512 or 4096; that of the device, else 512
    #[arg(long, value_name = "BYTES")]
    sector_size: Option<u32>,
    /// File system inside; NTFS and exFAT need mkntfs and mkfs.exfat
    #[arg(long, value_enum, default_value_t = Inside::Fat32)]
    filesystem: Inside,
    /// Name of the volume: at most 11 characters, 32 on NTFS
    #[arg(long, value_name = "NAME", default_value = "KEYHAVEN")]
    label: String,
    /// File with a password that shall open the volume, too (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Put this file or folder into the new volume (FAT32 only); may be given several times
    #[arg(long, value_name = "PATH")]
    add: Vec<PathBuf>,
    /// Write the recovery key to this new file, in the form Windows uses, instead of printing it
    #[arg(long, value_name = "FILE")]
    recovery_out: Option<PathBuf>,
    /// Encrypt every sector, so that nothing tells used from free space (the default)
    #[arg(long, conflicts_with = "used_space_only")]
    full: bool,
    /// Encrypt only what is written: fast, but free space stays as it was, and what was on a device before can be read
    #[arg(long)]
    used_space_only: bool,
    /// Destroy what a device holds, even a file system or another volume
    #[arg(long)]
    overwrite: bool,
    /// Do not ask before everything on a device is lost
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    #[value(name = "xts-aes-128")]
    XtsAes128,
    #[value(name = "xts-aes-256")]
    XtsAes256,
    #[value(name = "aes-cbc-128")]
    AesCbc128,
    #[value(name = "aes-cbc-256")]
    AesCbc256,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Inside {
    Fat32,
    Ntfs,
    Exfat,
    None,
}

impl Inside {
    fn file_system(self) -> FileSystem {
        match self {
            Self::Fat32 => FileSystem::Fat32,
            Self::Ntfs => FileSystem::Ntfs,
            Self::Exfat => FileSystem::Exfat,
            Self::None => FileSystem::None,
        }
    }
}

impl Method {
    /// What is stored for it, without a diffuser.
    pub(crate) fn plain(self) -> EncryptionMethod {
        match self {
            Self::XtsAes128 => EncryptionMethod::AesXts128,
            Self::XtsAes256 => EncryptionMethod::AesXts256,
            Self::AesCbc128 => EncryptionMethod::AesCbc128,
            Self::AesCbc256 => EncryptionMethod::AesCbc256,
        }
    }

    /// What is stored for it; nothing for a diffuser where there cannot be one.
    fn on_disk(self, diffuser: bool) -> Option<EncryptionMethod> {
        match (self, diffuser) {
            (Self::XtsAes128 | Self::XtsAes256, true) => None,
            (Self::AesCbc128, true) => Some(EncryptionMethod::AesCbc128Diffuser),
            (Self::AesCbc256, true) => Some(EncryptionMethod::AesCbc256Diffuser),
            (_, false) => Some(self.plain()),
        }
    }
}

pub(crate) fn run(arguments: &CreateArgs, json: bool) -> Outcome {
    let method = arguments.method.on_disk(arguments.diffuser).ok_or_else(|| {
        Failure::could_not("--diffuser goes with AES-CBC alone").hint("choose --method aes-cbc-128 or aes-cbc-256")
    })?;
    if !arguments.add.is_empty() && arguments.filesystem != Inside::Fat32 {
        return Err(Failure::could_not("--add needs a file system that can be written here")
            .hint("use `--filesystem fat32`, or mount the new volume and copy the files"));
    }
    let on_device = lock::is_device(&arguments.file);
    let device = if on_device { Some(Target::open_device(&arguments.file)?) } else { None };
    let sector_bytes = sector_bytes(arguments, device.as_ref())?;
    let drive = NewDrive {
        file: arguments.file.clone(),
        volume_bytes: volume_bytes(arguments, device.as_ref())?,
        sector_bytes,
        hidden_sectors: device.as_ref().map_or(0, |device| device.hidden_sectors(sector_bytes)),
        method,
        file_system: arguments.filesystem.file_system(),
        label: arguments.label.clone(),
        used_space_only: arguments.used_space_only,
    };
    drive.check_label()?;
    check_added(arguments, drive.volume_bytes)?;
    match &device {
        Some(device) => confirm(device, arguments.overwrite, arguments.yes)?,
        // What would be refused later is refused before the work.
        None if arguments.file.symlink_metadata().is_ok() => drop(Target::create(&arguments.file, drive.volume_bytes)?),
        None => {}
    }
    let password = arguments.password_file.as_deref().map(secrets::password_from).transpose()?;
    let plan = drive.plan()?;
    let target = match device {
        Some(device) => device,
        None => Target::create(&arguments.file, plan.drive.volume_bytes)?,
    };
    let recovery = RecoveryPassword::random();
    let identifier = make(arguments, &plan, &target, &recovery, password)?;
    tell(arguments, &plan.drive, &identifier, &recovery, json)
}

/// Refuses to destroy what is on a device, unless that was asked for, and asks before anything is lost.
fn confirm(device: &Target, overwrite: bool, yes: bool) -> Outcome {
    let name = device.path.display();
    let content = device.content();
    if let (Some(content), false) = (&content, overwrite) {
        return Err(Failure::no(format!("{name} is not empty"))
            .cause(format!("it holds {content}"))
            .hint("if nothing on it is needed any more, say so with --overwrite"));
    }
    if yes {
        return Ok(());
    }
    let content = content.map(|content| format!(", {content}")).unwrap_or_default();
    let size = output::size(device.length_bytes());
    let question = format!("everything on {name} ({size}{content}) will be lost; type yes to go on");
    let answer = prompt::line(&question)
        .map_err(|failure| failure.hint("without a terminal, --yes says that everything on it may be lost"))?;
    if answer != "yes" {
        return Err(Failure::no(format!("{name} was left as it is")).cause("the answer was not yes"));
    }
    Ok(())
}

fn make(
    arguments: &CreateArgs,
    plan: &Plan,
    target: &Target,
    recovery: &RecoveryPassword,
    password: Option<SecretString>,
) -> Outcome<String> {
    let bar =
        if arguments.used_space_only { None } else { Some(progress::bytes(plan.drive.volume_bytes, "encrypting")) };
    let mut written = false;
    let making = Making {
        identifier: fve::random_guid(),
        before: &mut |identifier| {
            save_recovery(arguments, identifier, recovery)?;
            written = true;
            Ok(())
        },
        progress: &mut |done, total| {
            let Some(bar) = &bar else { return };
            bar.set_position(done);
            if done == total {
                bar.finish_and_clear();
            }
        },
        add: &mut |volume| arguments.add.iter().try_for_each(|path| add::add(volume, path, "")),
    };
    let made = plan.make(target, recovery, password, making);
    // A file that was there before is somebody else's.
    if let (Err(_), Some(path), true) = (&made, &arguments.recovery_out, written) {
        let _ = std::fs::remove_file(path);
    }
    made
}

fn volume_bytes(arguments: &CreateArgs, device: Option<&Target>) -> Outcome<u64> {
    match (device, arguments.size) {
        (Some(device), None) => Ok(device.length_bytes()),
        (Some(_), Some(_)) => Err(Failure::could_not("a device is used as a whole").hint("leave --size away")),
        (None, Some(size)) => Ok(size),
        (None, None) => Err(Failure::could_not("a file needs a size").hint("give --size, for instance --size 256M")),
    }
}

fn sector_bytes(arguments: &CreateArgs, device: Option<&Target>) -> Outcome<u32> {
    let least = device.map_or(512, |device| device.disk.geometry().sector_bytes);
    let wanted = arguments.sector_size.unwrap_or(least);
    if !matches!(wanted, 512 | 4096) {
        return Err(
            Failure::could_not("BitLocker has sectors of 512 or 4096 bytes").hint("choose one with --sector-size")
        );
    }
    if wanted < least {
        return Err(Failure::no(format!("{} has sectors of {least} bytes", arguments.file.display()))
            .cause("smaller ones cannot be written one by one"));
    }
    Ok(wanted)
}

fn check_added(arguments: &CreateArgs, volume_bytes: u64) -> Outcome {
    let mut to_add = 0;
    for path in &arguments.add {
        to_add += add::length_below(path)?;
    }
    if to_add > volume_bytes {
        return Err(Failure::no(format!("{} do not fit into {}", output::size(to_add), output::size(volume_bytes)))
            .hint("a larger --size makes room"));
    }
    Ok(())
}

/// The size as people write it: a number with K, M, G or T (powers of 1024), or plain bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim().trim_end_matches(['b', 'B']).trim_end_matches(['i']);
    let (number, shift) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        Some((at, 't' | 'T')) => (&text[..at], 40),
        _ => (text, 0),
    };
    let number: u64 = number.trim().parse().map_err(|_| "expected a size such as 256M or 4G".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "this size is too large".to_owned())
}

/// Writes the recovery key to the file that was named, before the command says done.
fn save_recovery(arguments: &CreateArgs, identifier: &str, recovery: &RecoveryPassword) -> Outcome {
    let Some(path) = &arguments.recovery_out else { return Ok(()) };
    crate::files::write_new_private(path, &recovery_file::encode(identifier, recovery))
}

fn tell(
    arguments: &CreateArgs,
    drive: &NewDrive,
    identifier: &str,
    recovery: &RecoveryPassword,
    json: bool,
) -> Outcome {
    let name = arguments.file.display();
    let digits: SecretString = recovery.to_text();
    let shown = arguments.recovery_out.is_none();
    let document = json!({
        "drive": name.to_string(),
        "bytes": drive.volume_bytes,
        "method": drive.method.to_string(),
        "sector_bytes": drive.sector_bytes,
        "filesystem": arguments.filesystem.to_possible_value().map(|value| value.get_name().to_owned()),
        "recovery_identifier": identifier,
        "key_id": &identifier[..8],
        "recovery_key": shown.then(|| digits.expose()),
        "recovery_out": arguments.recovery_out.as_ref().map(|path| path.display().to_string()),
    });
    let size = output::size(drive.volume_bytes);
    let mut text = format!("{name}: new BitLocker volume of {size}\n  key ID {}\n", &identifier[..8]);
    match &arguments.recovery_out {
        Some(path) => text.push_str(&format!("  recovery key written to {}\n", path.display())),
        None => text.push_str(&format!("  recovery key {}\n", digits.expose())),
    }
    text.push_str(&format!(
        "\nBack the recovery key up now: it is the last way in when a password is lost.\n  \
         keyhaven backup {name} --to account\n"
    ));
    let text = zeroize::Zeroizing::new(text);
    output::report(json, &document, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        assert_eq!(parse_size("4T"), Ok(4 << 40));
        assert_eq!(parse_size("67108864"), Ok(64 << 20));
        assert!(parse_size("M").is_err());
        assert!(parse_size("-1").is_err());
        assert!(parse_size("99999999T").is_err());
    }
}

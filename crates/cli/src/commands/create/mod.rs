//! `keyhaven create`: a new, empty BitLocker volume in an image file or on a block device.
//!
//! Order: the start of a device is wiped, then everything is written, and the volume header last. Until then there is
//! nothing that looks like a volume.

mod add;
mod plain;
mod target;

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use block_io::{BlockRead, FileDisk};
use clap::{Args, ValueEnum};
use fs_view::fat32;
use fve::{CreateOptions, EncryptionMethod, Filetime, NewVolume, Placement};
use secret::{RecoveryPassword, SecretString};
use serde_json::json;

use self::plain::{Plain, Wanted};
use self::target::Target;
use crate::failure::{Failure, Outcome};
use crate::{host, lock, output, progress, recovery_file, secrets};

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
    #[arg(long, value_enum, default_value_t = FileSystem::Fat32)]
    filesystem: FileSystem,
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
enum FileSystem {
    Fat32,
    Ntfs,
    Exfat,
    None,
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

/// Everything that is decided before anything is written.
struct Plan<'a> {
    arguments: &'a CreateArgs,
    method: EncryptionMethod,
    volume_bytes: u64,
    sector_bytes: u32,
    placement: Placement,
    plain: Option<Plain>,
}

pub(crate) fn run(arguments: &CreateArgs, json: bool) -> Outcome {
    let method = arguments.method.on_disk(arguments.diffuser).ok_or_else(|| {
        Failure::could_not("--diffuser goes with AES-CBC alone").hint("choose --method aes-cbc-128 or aes-cbc-256")
    })?;
    if !arguments.add.is_empty() && arguments.filesystem != FileSystem::Fat32 {
        return Err(Failure::could_not("--add needs a file system that can be written here")
            .hint("use `--filesystem fat32`, or mount the new volume and copy the files"));
    }
    check_label(arguments)?;
    let on_device = lock::is_device(&arguments.file);
    let device = if on_device { Some(Target::open_device(&arguments.file)?) } else { None };
    let volume_bytes = volume_bytes(arguments, device.as_ref())?;
    let sector_bytes = sector_bytes(arguments, device.as_ref())?;
    check_added(arguments, volume_bytes)?;
    match &device {
        Some(device) => device.confirm(arguments.overwrite, arguments.yes)?,
        // What would be refused later is refused before the work.
        None if arguments.file.symlink_metadata().is_ok() => drop(Target::create(&arguments.file, volume_bytes)?),
        None => {}
    }
    let password = arguments.password_file.as_deref().map(secrets::password_from).transpose()?;
    let hidden_sectors = device.as_ref().map_or(0, |device| device.hidden_sectors(sector_bytes));
    let (placement, plain) = file_system(arguments, volume_bytes, sector_bytes, hidden_sectors)?;
    let plan = Plan { arguments, method, volume_bytes, sector_bytes, placement, plain };
    let target = match device {
        Some(device) => device,
        None => Target::create(&arguments.file, volume_bytes)?,
    };
    let recovery = RecoveryPassword::random();
    let made = make(&plan, &target, &recovery, password);
    let identifier = made.inspect_err(|_| target.give_up())?;
    tell(&plan, &identifier, &recovery, json)
}

fn check_label(arguments: &CreateArgs) -> Outcome {
    let limit = match arguments.filesystem {
        FileSystem::None => return Ok(()),
        FileSystem::Ntfs => 32,
        FileSystem::Fat32 | FileSystem::Exfat => 11,
    };
    let label = &arguments.label;
    if label.encode_utf16().count() > limit || label.contains(char::is_control) {
        return Err(Failure::could_not(format!("{label:?} cannot be the name of a volume"))
            .cause(format!("it has more than {limit} characters, or some that cannot be shown")));
    }
    Ok(())
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

/// Where BitLocker's structures go, out of the way of the file system's own; and the file system, where another program
/// makes it.
fn file_system(
    arguments: &CreateArgs,
    volume_bytes: u64,
    sector_bytes: u32,
    hidden_sectors: u32,
) -> Outcome<(Placement, Option<Plain>)> {
    let bad = |error: &dyn std::error::Error| {
        Failure::no(format!("a volume of {} cannot be made", output::size(volume_bytes))).because(error)
    };
    if !volume_bytes.is_multiple_of(sector_bytes.into()) {
        return Err(Failure::no(format!("a volume of {volume_bytes} bytes cannot be made"))
            .cause(format!("it is not a multiple of {sector_bytes} bytes, the sector size")));
    }
    let (cluster_bytes, first_free) = match arguments.filesystem {
        FileSystem::None => (4096, 0),
        FileSystem::Fat32 => {
            let plan = fat32::plan_with_sectors(volume_bytes, sector_bytes)
                .map_err(|error| bad(&error).hint("choose another size, or `--filesystem none` for an empty volume"))?;
            (u64::from(plan.cluster_bytes), plan.data_start_bytes)
        }
        file_system @ (FileSystem::Ntfs | FileSystem::Exfat) => {
            let wanted = Wanted { file_system, volume_bytes, sector_bytes, hidden_sectors, label: &arguments.label };
            let plain = Plain::make(&folder_of(&arguments.file), &wanted)?;
            return Ok((plain.placement().clone(), Some(plain)));
        }
    };
    let placement = Placement::choose(volume_bytes, cluster_bytes, first_free).map_err(|error| bad(&error))?;
    Ok((placement, None))
}

/// Where temporary files go: beside a new file, because there is room for it; no device has files beside it.
fn folder_of(file: &Path) -> PathBuf {
    if lock::is_device(file) {
        return std::env::temp_dir();
    }
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Fills the storage and puts the file system in; gives the identifier of the recovery key.
fn make(
    plan: &Plan<'_>,
    target: &Target,
    recovery: &RecoveryPassword,
    password: Option<SecretString>,
) -> Outcome<String> {
    let arguments = plan.arguments;
    let now = Filetime::from_system_time_ms(SystemTime::now());
    let options = CreateOptions {
        method: plan.method,
        description: format!("{} {} {}", host::name_for_description(), arguments.label, &now.to_string()[..10]),
        now,
        recovery_password: recovery.clone(),
        password,
        placement: plan.placement.clone(),
    };
    let failed = |error: &fve::Error| {
        let failure = Failure::could_not(format!("cannot write {}", arguments.file.display())).because(error);
        if is_full(error) {
            failure.hint("free some space or choose another place, then run it again")
        } else {
            failure
        }
    };
    let new =
        NewVolume::begin_with_sectors(&target.disk, &options, plan.sector_bytes).map_err(|error| failed(&error))?;
    let identifier = new.recovery_identifier().to_string();
    // Before the volume is there: a key without a volume does no harm.
    save_recovery(arguments, &identifier, recovery)?;
    let made = fill(plan, target, &new).and_then(|()| new.finish().map_err(|error| failed(&error)));
    made.inspect_err(|_| {
        if let Some(path) = &arguments.recovery_out {
            let _ = std::fs::remove_file(path);
        }
    })?;
    Ok(identifier)
}

/// Everything but the metadata and the volume header.
fn fill(plan: &Plan<'_>, target: &Target, new: &NewVolume<&FileDisk>) -> Outcome {
    let arguments = plan.arguments;
    let failed = |error: &dyn std::error::Error, full| {
        let failure = Failure::could_not(format!("cannot write {}", arguments.file.display())).because(error);
        if full { failure.hint("free some space or choose another place, then run it again") } else { failure }
    };
    target.wipe_start().map_err(|error| failed(&error, false))?;
    if !arguments.used_space_only {
        let bar = progress::bytes(plan.volume_bytes, "encrypting");
        new.fill(host::workers(), &mut |done, _| bar.set_position(done))
            .map_err(|error| failed(&error, is_full(&error)))?;
        bar.finish_and_clear();
    }
    if let Some(plain) = &plan.plain {
        return plain.copy_to(new.volume(), !arguments.used_space_only);
    }
    if arguments.filesystem == FileSystem::Fat32 {
        let format = fat32::Format {
            label: &arguments.label,
            reserved: &plan.placement.reserved(),
            sector_bytes: plan.sector_bytes,
            hidden_sectors: target.hidden_sectors(plan.sector_bytes),
        };
        fat32::format_with(new.volume(), &format).map_err(|error| no_file_system(arguments, &error))?;
        for path in &arguments.add {
            add::add(new.volume(), path, "")?;
        }
    }
    Ok(())
}

fn no_file_system(arguments: &CreateArgs, error: &fs_view::Error) -> Failure {
    match error {
        fs_view::Error::BadLabel => {
            Failure::could_not(format!("{:?} cannot be the name of a volume", arguments.label)).because(error)
        }
        _ => Failure::could_not(format!("cannot put a file system into {}", arguments.file.display())).because(error),
    }
}

fn is_full(error: &fve::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::StorageFull) {
            return true;
        }
        cause = error.source();
    }
    false
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

fn tell(plan: &Plan<'_>, identifier: &str, recovery: &RecoveryPassword, json: bool) -> Outcome {
    let arguments = plan.arguments;
    let name = arguments.file.display();
    let digits: SecretString = recovery.to_text();
    let shown = arguments.recovery_out.is_none();
    let document = json!({
        "drive": name.to_string(),
        "bytes": plan.volume_bytes,
        "method": plan.method.to_string(),
        "sector_bytes": plan.sector_bytes,
        "filesystem": arguments.filesystem.to_possible_value().map(|value| value.get_name().to_owned()),
        "recovery_identifier": identifier,
        "key_id": &identifier[..8],
        "recovery_key": shown.then(|| digits.expose()),
        "recovery_out": arguments.recovery_out.as_ref().map(|path| path.display().to_string()),
    });
    let size = output::size(plan.volume_bytes);
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

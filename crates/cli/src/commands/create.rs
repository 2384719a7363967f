//! `keyhaven create`: a new, empty BitLocker volume in an image file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use block_io::FileDisk;
use clap::{Args, ValueEnum};
use fs_view::fat32;
use fve::{CreateOptions, EncryptionMethod, Filetime, NewVolume, Placement, UnlockedVolume};
use secret::{RecoveryPassword, SecretString};
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::{host, output, progress, recovery_file, secrets};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven create safe.img --size 256M --filesystem fat32 --recovery-out key.txt")]
pub(crate) struct CreateArgs {
    /// The image file to make; an existing file is never overwritten
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Size of the volume, for instance 256M or 4G; 64M at least
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    size: u64,
    /// How sectors are encrypted
    #[arg(long, value_enum, default_value_t = Method::XtsAes128)]
    method: Method,
    /// File system inside
    #[arg(long, value_enum, default_value_t = FileSystem::Fat32)]
    filesystem: FileSystem,
    /// Name of the volume, 11 characters at most
    #[arg(long, value_name = "NAME", default_value = "KEYHAVEN")]
    label: String,
    /// File with a password that shall open the volume, too (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Put this file or folder into the new volume; may be given several times
    #[arg(long, value_name = "PATH")]
    add: Vec<PathBuf>,
    /// Write the recovery key to this new file, in the form Windows uses, instead of printing it
    #[arg(long, value_name = "FILE")]
    recovery_out: Option<PathBuf>,
    /// Encrypt only what is written; space never used stays as the image file has it
    #[arg(long)]
    used_space_only: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    #[value(name = "xts-aes-128")]
    XtsAes128,
    #[value(name = "xts-aes-256")]
    XtsAes256,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FileSystem {
    Fat32,
    None,
}

impl Method {
    fn on_disk(self) -> EncryptionMethod {
        match self {
            Self::XtsAes128 => EncryptionMethod::AesXts128,
            Self::XtsAes256 => EncryptionMethod::AesXts256,
        }
    }
}

pub(crate) fn run(arguments: &CreateArgs, json: bool) -> Outcome {
    if arguments.filesystem == FileSystem::None && !arguments.add.is_empty() {
        return Err(Failure::could_not("--add needs a file system to put files into").hint("use `--filesystem fat32`"));
    }
    let mut to_add = 0;
    for path in &arguments.add {
        to_add += length_below(path)?;
    }
    if to_add > arguments.size {
        return Err(Failure::no(format!("{} do not fit into {}", output::size(to_add), output::size(arguments.size)))
            .hint("a larger --size makes room"));
    }
    let password = arguments.password_file.as_deref().map(secrets::password_from).transpose()?;
    let placement = placement(arguments)?;
    let recovery = RecoveryPassword::random();
    let now = Filetime::from_system_time_ms(SystemTime::now());
    let options = CreateOptions {
        method: arguments.method.on_disk(),
        description: format!("{} {} {}", host_name(), arguments.label, &now.to_string()[..10]),
        now,
        recovery_password: recovery.clone(),
        password,
        placement,
    };
    let disk =
        FileDisk::create_new(&arguments.file, arguments.size).map_err(|error| refuse(&arguments.file, &error))?;
    let made = make(arguments, disk, &options).and_then(|identifier| {
        save_recovery(arguments, &identifier, &recovery)?;
        Ok(identifier)
    });
    let identifier = made.inspect_err(|_| {
        // Half a volume is of no use to anybody; the file is ours, it did not exist before.
        let _ = std::fs::remove_file(&arguments.file);
    })?;
    tell(arguments, &identifier, &recovery, json)
}

/// Where BitLocker's structures go: out of the way of the file system's own tables.
fn placement(arguments: &CreateArgs) -> Outcome<Placement> {
    let size = arguments.size;
    let bad = |error: &dyn std::error::Error| {
        Failure::no(format!("a volume of {} cannot be made", output::size(size))).because(error)
    };
    let (cluster_bytes, first_free) = match arguments.filesystem {
        FileSystem::None => (4096, 0),
        FileSystem::Fat32 => {
            let plan = fat32::plan(size)
                .map_err(|error| bad(&error).hint("choose another size, or `--filesystem none` for an empty volume"))?;
            (u64::from(plan.cluster_bytes), plan.data_start_bytes)
        }
    };
    Placement::choose(size, cluster_bytes, first_free).map_err(|error| bad(&error))
}

/// Fills the image and puts the file system in; gives the identifier of the recovery key.
fn make(arguments: &CreateArgs, disk: FileDisk, options: &CreateOptions) -> Outcome<String> {
    let failed = |error: &fve::Error| {
        let failure = Failure::could_not(format!("cannot write {}", arguments.file.display())).because(error);
        if is_full(error) {
            failure.hint("free some space or choose another place, then run it again")
        } else {
            failure
        }
    };
    let new = NewVolume::begin(disk, options).map_err(|error| failed(&error))?;
    if !arguments.used_space_only {
        let bar = progress::bytes(arguments.size, "encrypting");
        new.fill(host::workers(), &mut |done, _| bar.set_position(done)).map_err(|error| failed(&error))?;
        bar.finish_and_clear();
    }
    if arguments.filesystem == FileSystem::Fat32 {
        let formatted = fat32::format(new.volume(), &arguments.label, &options.placement.reserved());
        formatted.map_err(|error| no_file_system(arguments, &error))?;
        for path in &arguments.add {
            add(new.volume(), path, "")?;
        }
    }
    let identifier = new.recovery_identifier().to_string();
    new.finish().map_err(|error| failed(&error))?;
    Ok(identifier)
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

/// Bytes in a file, or in all files below a folder.
fn length_below(path: &Path) -> Outcome<u64> {
    let cannot_read = |error: &io::Error| Failure::could_not(format!("cannot read {}", path.display())).because(error);
    let metadata = path.metadata().map_err(|error| cannot_read(&error))?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut length = 0;
    for entry in std::fs::read_dir(path).map_err(|error| cannot_read(&error))? {
        let entry = entry.map_err(|error| cannot_read(&error))?;
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            length += length_below(&entry.path())?;
        }
    }
    Ok(length)
}

/// Copies a file, or a folder with everything in it, into a directory of the new volume.
fn add(volume: &UnlockedVolume<FileDisk>, path: &Path, directory: &str) -> Outcome {
    let cannot_read = |error: &io::Error| Failure::could_not(format!("cannot read {}", path.display())).because(error);
    let name = path.canonicalize().map_err(|error| cannot_read(&error))?;
    let name = name.file_name().and_then(|name| name.to_str()).map(|name| format!("{directory}/{name}"));
    let target = name.ok_or_else(|| Failure::could_not(format!("{} has no name for the volume", path.display())))?;
    let cannot_add = |error: &fs_view::Error| {
        Failure::could_not(format!("cannot put {} into the volume", path.display()))
            .because(error)
            .hint("a larger --size makes room; FAT32 holds files of up to 4 GiB")
    };
    if path.is_dir() {
        fat32::create_dir(volume, &target).map_err(|error| cannot_add(&error))?;
        for entry in std::fs::read_dir(path).map_err(|error| cannot_read(&error))? {
            let entry = entry.map_err(|error| cannot_read(&error))?;
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                // It may lead anywhere, back to this folder for instance; FAT has no links.
                output::note(&format!("warning: the link {} was left out", entry.path().display()));
                continue;
            }
            add(volume, &entry.path(), &target)?;
        }
        return Ok(());
    }
    let mut file = File::open(path).map_err(|error| cannot_read(&error))?;
    fat32::write_file(volume, &target, &mut file).map(drop).map_err(|error| cannot_add(&error))
}

/// The size as people write it: a number with K, M, G or T (powers of 1024), or plain bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
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

fn refuse(path: &Path, error: &block_io::Error) -> Failure {
    let failure = Failure::could_not(format!("cannot create {}", path.display())).because(error);
    match error {
        block_io::Error::Io { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
            failure.hint("choose another name; an existing file is never overwritten")
        }
        _ => failure,
    }
}

/// The name of this computer, for the description that Windows shows.
fn host_name() -> String {
    let name = crate::host::name();
    if name.is_empty() { "KEYHAVEN".to_owned() } else { name.to_uppercase() }
}

/// Writes the recovery key to the file that was named, before the command says done.
fn save_recovery(arguments: &CreateArgs, identifier: &str, recovery: &RecoveryPassword) -> Outcome {
    let Some(path) = &arguments.recovery_out else { return Ok(()) };
    crate::files::write_new_private(path, &recovery_file::encode(identifier, recovery))
}

fn tell(arguments: &CreateArgs, identifier: &str, recovery: &RecoveryPassword, json: bool) -> Outcome {
    let name = arguments.file.display();
    let digits: SecretString = recovery.to_text();
    let shown = arguments.recovery_out.is_none();
    let document = json!({
        "drive": name.to_string(),
        "bytes": arguments.size,
        "method": arguments.method.on_disk().to_string(),
        "recovery_identifier": identifier,
        "key_id": &identifier[..8],
        "recovery_key": shown.then(|| digits.expose()),
        "recovery_out": arguments.recovery_out.as_ref().map(|path| path.display().to_string()),
    });
    let mut text =
        format!("{name}: new BitLocker volume of {}\n  key ID {}\n", output::size(arguments.size), &identifier[..8]);
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

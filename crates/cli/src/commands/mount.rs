//! `keyhaven mount` and `keyhaven unmount`: a drive on a folder, through FUSE.

use std::path::PathBuf;

use clap::Args;
use export_fuse::{Error, Mount, Options, Told, VOLUME_FILE};
use serde_json::json;

use crate::commands::sharing::{self, Signals};
use crate::drive::{DriveArgs, UnlockArgs};
use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven mount /dev/sdb1 usb (a folder that exists and is empty)\n\n\
    The command runs until the folder is unmounted: by Ctrl-C, by `keyhaven unmount usb` in another terminal or by \
    `fusermount3 -u usb`. It ends when everything written is safely on the drive.\n\n\
    With --raw the folder holds one file, volume.img: the plain volume, for programs that bring their own file system. \
    For instance, `keyhaven mount /dev/sdb1 usb --raw --write` and then `ntfs-3g usb/volume.img files`.")]
pub(crate) struct MountArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// The folder to mount on; it must be there and empty
    #[arg(value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
    /// Show the plain volume as one file, volume.img, instead of the files in it
    #[arg(long)]
    raw: bool,
    /// Allow writing to volume.img; whatever is written changes the drive
    #[arg(long, requires = "raw")]
    write: bool,
    /// Let other accounts of this computer in, too
    #[arg(long)]
    allow_other: bool,
    #[command(flatten)]
    unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven unmount usb")]
pub(crate) struct UnmountArgs {
    /// The folder that is mounted on
    #[arg(value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
}

pub(crate) fn run(arguments: &MountArgs, json: bool) -> Outcome {
    let options = Options { allow_other: arguments.allow_other };
    // Before a secret is asked for.
    export_fuse::check(&arguments.folder, &options).map_err(|error| explain(&error))?;
    if arguments.raw { raw(arguments, &options, json) } else { files(arguments, &options, json) }
}

fn files(arguments: &MountArgs, options: &Options, json: bool) -> Outcome {
    let shared = sharing::open_tree(&arguments.drive.drive, &arguments.unlock)?;
    let signals = Signals::watch()?;
    let mount = export_fuse::mount_files(shared.tree.clone(), &arguments.folder, options);
    let mount = mount.map_err(|error| explain(&error))?;
    let (drive, folder) = (arguments.drive.drive.display().to_string(), arguments.folder.display().to_string());
    let document = json!({ "drive": drive, "folder": folder, "writable": false });
    let text = format!("{folder} shows the files of {drive}, for reading.\n{}", ending(arguments));
    serve(mount, &signals, || output::report(json, &document, &text))
}

fn raw(arguments: &MountArgs, options: &Options, json: bool) -> Outcome {
    let shared = sharing::open_disk(&arguments.drive.drive, arguments.write, &arguments.unlock)?;
    let signals = Signals::watch()?;
    let mount = export_fuse::mount_disk(shared.disk.clone(), &arguments.folder, options);
    let mount = mount.map_err(|error| explain(&error))?;
    let file = arguments.folder.join(VOLUME_FILE);
    let bytes = shared.disk.length_bytes();
    let document = json!({
        "drive": arguments.drive.drive.display().to_string(), "folder": arguments.folder.display().to_string(),
        "file": file.display().to_string(), "bytes": bytes, "writable": arguments.write,
    });
    let text = format!(
        "{} holds the plain volume, {}, {}.\n{}",
        file.display(),
        output::size(bytes),
        if arguments.write { "for reading and writing" } else { "for reading" },
        ending(arguments)
    );
    serve(mount, &signals, || output::report(json, &document, &text))
}

fn ending(arguments: &MountArgs) -> String {
    format!("Ctrl-C or `keyhaven unmount {}` ends it.\n", arguments.folder.display())
}

/// Tells that the mount is there and serves it until its end.
fn serve(mount: Mount, signals: &Signals, tell: impl FnOnce() -> Outcome) -> Outcome {
    let stopper = mount.stopper();
    signals.then(move || stopper.stop());
    // The mount works without anybody who reads the report, but nobody would know how to end it.
    let told = tell();
    if told.is_err() {
        mount.stopper().stop();
    }
    let served = mount.serve(&mut |told| {
        if told == Told::InUse {
            output::note("programs still use the mount; it ends when they are done (again Ctrl-C: now)");
        }
    });
    served.map_err(|error| explain(&error)).and(told)
}

pub(crate) fn run_unmount(arguments: &UnmountArgs, json: bool) -> Outcome {
    export_fuse::unmount(&arguments.folder).map_err(|error| explain(&error))?;
    let folder = arguments.folder.display().to_string();
    output::report(json, &json!({ "folder": folder }), &format!("{folder} is unmounted.\n"))
}

fn explain(error: &Error) -> Failure {
    let failed = |what: String| Failure::could_not(what).because(error);
    match error {
        Error::Folder { path, source } => {
            let failure = Failure::could_not(format!("cannot mount on {}", path.display())).because(source);
            match source.kind() {
                std::io::ErrorKind::NotFound => failure.hint(format!("`mkdir {}` makes the folder", path.display())),
                _ => failure.hint("choose an empty folder of yours"),
            }
        }
        Error::NotEmpty { path } => Failure::no(format!("cannot mount on {}", path.display()))
            .because(error)
            .hint("choose an empty folder: a mount would hide what is in it"),
        Error::Mounted { path } => {
            Failure::no(format!("cannot mount on {}", path.display())).because(error).hint(format!(
                "choose another folder; `keyhaven unmount {}` ends a mount, also one whose program died",
                path.display()
            ))
        }
        Error::NoDevice => failed("cannot mount: this system has no FUSE".to_owned())
            .hint("as root, `modprobe fuse` turns it on; in a container, it must be started with the device /dev/fuse"),
        Error::Device { source } => Failure::could_not("cannot mount: this account may not use FUSE")
            .cause(format!("/dev/fuse: {source}"))
            .hint("ask the administrator for access to /dev/fuse"),
        Error::NoHelper => failed("cannot mount without being root".to_owned())
            .hint("install fusermount3 (package fuse3), or run it as root"),
        Error::OthersNotAllowed => Failure::no("--allow-other is not permitted here")
            .because(error)
            .hint("as root, add the line user_allow_other to /etc/fuse.conf, or leave --allow-other out"),
        Error::Refused { path, source } => {
            Failure::could_not(format!("cannot mount on {}", path.display())).because(source)
        }
        Error::Busy { path } => Failure::no(format!("{} is in use", path.display()))
            .cause("programs have files of it open, or work in it")
            .hint(format!("close them and try again; as root, `fuser -vm {}` names them", path.display())),
        Error::NotMounted { path } => Failure::no(format!("nothing is mounted on {}", path.display()))
            .hint("`findmnt -S keyhaven` lists what is mounted"),
        Error::NotUnmounted { path, source } => {
            Failure::could_not(format!("cannot unmount {}", path.display())).because(source)
        }
        Error::Flush { .. } => failed("the end of what was written may be lost".to_owned())
            .hint("look at the drive's connection, mount it again and check the files written last"),
        _ => failed("the mount ended".to_owned()),
    }
}

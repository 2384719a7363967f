//! Mounts a plain file the same way an unlocked volume is mounted: what FUSE itself costs, for comparison.
//!
//! `plain_file FILE FOLDER [write]`, ended by Ctrl-C.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::path::Path;
    use std::sync::Arc;

    use block_io::FileDisk;
    use export::{Access, Disk};

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, folder, rest @ ..] = arguments.as_slice() else {
        return Err("usage: plain_file FILE FOLDER [write]".into());
    };
    let disk = match rest {
        [] => Disk::new(Box::new(FileDisk::open(Path::new(file))?), Access::ReadOnly),
        _ => Disk::new(Box::new(FileDisk::open_writable(Path::new(file))?), Access::ReadWrite),
    };
    let mount = export_fuse::mount_disk(Arc::new(disk), Path::new(folder), &export_fuse::Options::default())?;
    let stopper = mount.stopper();
    ctrlc::set_handler(move || stopper.stop())?;
    Ok(mount.serve(&mut |_| {})?)
}

#[cfg(not(target_os = "linux"))]
fn main() {}

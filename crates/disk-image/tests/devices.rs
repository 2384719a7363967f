//! Block devices: real ones, made by `losetup`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use block_io::{BlockRead, FileDisk, Geometry};
use disk_image::{DiskImage, ImageFormat};

/// A loop device over a file, taken away in the end.
struct Loop(PathBuf);

impl Loop {
    fn new(file: &Path, sector_bytes: u32) -> Option<Self> {
        let size = sector_bytes.to_string();
        let made = Command::new("/usr/sbin/losetup").args(["-f", "--show", "--sector-size", &size]).arg(file).output();
        match made {
            Ok(output) if output.status.success() => {
                Some(Self(String::from_utf8(output.stdout).unwrap().trim().into()))
            }
            _ => {
                testkit::skip("no loop devices here");
                None
            }
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("/usr/sbin/losetup").arg("-d").arg(&self.0).output();
    }
}

#[test]
fn devices_have_their_sector_size_and_are_always_raw() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    // What stands on a device names no other file.
    let mut bytes = b"# Disk DescriptorFile\nRW 8 FLAT \"zero\" 0\n".to_vec();
    bytes.resize(1 << 20, 0);
    std::fs::write(&path, &bytes).unwrap();
    for sector_bytes in [512, 4096] {
        let Some(device) = Loop::new(&path, sector_bytes) else { return };
        let disk = DiskImage::open(&device.0).unwrap();
        assert_eq!(disk.format(), ImageFormat::Raw);
        assert_eq!(disk.geometry(), Geometry { length_bytes: 1 << 20, sector_bytes });
        assert!(FileDisk::open(&device.0).unwrap().is_device() && !FileDisk::open(&path).unwrap().is_device());
        let mut read = vec![1; 1 << 20];
        disk.read_exact_at(0, &mut read).unwrap();
        assert!(read == bytes);
    }
}

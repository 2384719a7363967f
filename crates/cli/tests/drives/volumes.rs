//! Real volumes: other implementations make a file system inside a drive of ours, and fill it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Bench, pattern};
use crate::running::{PATIENCE, Running, fuse};

/// Which file system, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// By `mkntfs` and `ntfs-3g`.
    Ntfs,
    /// By `mkfs.exfat` and `exfat-fuse`.
    ExFat,
    /// By `mkfs.vfat` and `mcopy`.
    Fat32,
}

/// Makes the drive `v.img` with what is in the folder `model`, and lets `work` on the mounted file system (not on FAT32).
/// False, after saying so, where that cannot be done.
///
/// BitLocker's own regions begin at 33 MiB. No file of these file systems gets there: all of them give out space from the
/// start on, and there is little in them.
pub(crate) fn make(bench: &Bench, inside: Inside, work: impl FnOnce(&Path)) -> bool {
    let programs: &[&str] = match inside {
        Inside::Ntfs => &["mkntfs", "ntfs-3g", "setfattr"],
        Inside::ExFat => &["mkfs.exfat", "mount.exfat-fuse", "gcc"],
        Inside::Fat32 => &["mkfs.vfat", "mcopy"],
    };
    if !fuse() || !testkit::programs(programs) {
        return false;
    }
    raw(bench, |volume| match inside {
        Inside::Ntfs => {
            tool("mkntfs", &["-F", "-q", "-Q", "-c", "4096"], &[volume]);
            mounted(bench, "ntfs-3g", &["-o", "streams_interface=windows"], volume, work);
        }
        Inside::ExFat => {
            tool("mkfs.exfat", &[], &[volume]);
            mounted(bench, "mount.exfat-fuse", &["-o", "rw"], volume, work);
        }
        Inside::Fat32 => {
            tool("mkfs.vfat", &["-F", "32"], &[volume]);
            for entry in fs::read_dir(bench.path("model")).unwrap() {
                tool("mcopy", &["-s", "-m", "-Q", "-i"], &[volume, &entry.unwrap().path(), Path::new("::/")]);
            }
        }
    });
    true
}

/// Makes the drive `v.img` without a file system, and lets `work` on the plain volume.
pub(crate) fn raw(bench: &Bench, work: impl FnOnce(&Path)) {
    let create =
        "create v.img --size 128M --filesystem none --used-space-only --password-file password --recovery-out v.key";
    bench.run(create).text();
    open_raw(bench, work);
}

/// Lets `work` on the plain volume of `v.img`.
pub(crate) fn open_raw(bench: &Bench, work: impl FnOnce(&Path)) {
    let running = Running::mount(bench, "v.img raw --raw --write --password-file password", "raw");
    work(&bench.path("raw/volume.img"));
    running.terminate();
}

/// A program that must succeed. Some folders of programs are searched for root alone.
pub(crate) fn tool(program: &str, options: &[&str], paths: &[&Path]) -> String {
    let output = command(program).args(options).args(paths).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} says no: {said}");
    said
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    command
}

/// Works on the files of a volume by way of a FUSE driver, after the model was copied in.
fn mounted(bench: &Bench, driver: &str, options: &[&str], volume: &Path, work: impl FnOnce(&Path)) {
    let folder = bench.path("mounted");
    fs::create_dir_all(&folder).unwrap();
    let mut mount = command(driver);
    if driver == "mount.exfat-fuse" {
        mount.env("LD_PRELOAD", shim(bench));
    }
    let output = mount.args(options).args([volume, &folder]).output().unwrap();
    assert!(output.status.success(), "{driver}: {}", String::from_utf8_lossy(&output.stderr));
    let unmount = Unmount(&folder);
    tool("cp", &["-r", "--preserve=timestamps"], &[&bench.path("model").join("."), &folder]);
    work(&folder);
    drop(unmount);
}

/// `exfat-fuse` mounts block devices alone; this makes it take a file.
fn shim(bench: &Bench) -> PathBuf {
    let shim = bench.path("shim.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../fs-view/tests/images/mount_shim.c");
    tool("gcc", &["-shared", "-fPIC", "-ldl", "-o"], &[&shim, Path::new(source)]);
    shim
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    /// Returns when the driver has written everything and ended.
    fn drop(&mut self) {
        let arguments = ["-c", r#"fusermount3 -u "$0" || umount "$0""#];
        let done = Command::new("sh").args(arguments).arg(self.0).output().is_ok_and(|output| output.status.success());
        assert!(done || std::thread::panicking(), "cannot unmount");
        let start = Instant::now();
        while driver_runs(self.0) && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether a process has the folder among its arguments.
fn driver_runs(folder: &Path) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .any(|line| line.split(|byte| *byte == 0).any(|argument| argument == folder.as_os_str().as_encoded_bytes()))
}

/// Makes a reparse point of a file or folder on NTFS.
pub(crate) fn reparse(path: &Path, tag: u32, data: &[u8]) {
    let mut value = tag.to_le_bytes().to_vec();
    value.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
    value.extend([0, 0]);
    value.extend(data);
    let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    tool("setfattr", &["-h", "-n", "system.ntfs_reparse_data", "-v", &format!("0x{hex}")], &[path]);
}

/// A junction, as Windows makes it.
pub(crate) fn junction(path: &Path, target: &str) {
    fs::create_dir(path).unwrap();
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let (real, shown) = (wide(&format!(r"\??\{target}")), wide(target));
    let field = |value: usize| u16::try_from(value).unwrap().to_le_bytes();
    let mut data = [field(0), field(real.len()), field(real.len() + 2), field(shown.len())].concat();
    data.extend([&real[..], &[0, 0], &shown[..], &[0, 0]].concat());
    reparse(path, 0xA000_0003, &data);
}

/// Files in `model` that go into the volumes: of all sizes around clusters, many in one folder, with long names, deep.
pub(crate) fn model(bench: &Bench, inside: Inside) {
    for length in [0, 1, 511, 512, 513, 4095, 4096, 4097, 32_768, 70_001, 3_000_000] {
        bench.file(&format!("model/sizes/{length} bytes.bin"), &pattern(length));
    }
    for index in 0..300_u32 {
        bench.file(&format!("model/many/file number {index} \u{e4}\u{4e2d}.txt"), format!("{index}\n").as_bytes());
    }
    bench.file(&format!("model/{}.txt", "n".repeat(200)), b"a long name");
    bench.file(&format!("model/{}.txt", "\u{65e5}".repeat(60)), b"a name that is long in UTF-8");
    // mtools cuts letters outside of the basic plane.
    let smile = if inside == Inside::Fat32 { "\u{263a}" } else { "\u{1f642}" };
    bench.file(&format!("model/Gr\u{f6}\u{df}e/leer und voll/{smile}.txt"), b"smile");
    bench.file("model/1/2/3/4/5/6/7/8/9/10/11/12/deep.txt", b"deep");
    fs::create_dir_all(bench.path("model/empty folder")).unwrap();
    tool("touch", &["-d", "2019-03-04T05:06:08Z"], &[&bench.path("model/sizes/4096 bytes.bin")]);
}

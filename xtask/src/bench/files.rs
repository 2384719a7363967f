//! Copying files out of a drive: ten thousand small ones, and one of 2 GiB, against `cp -a` from the same NTFS, not
//! encrypted, mounted by ntfs-3g.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Bench;
use super::measure::{installed, median_ms, peak_memory_kib, succeed};
use super::report::{Report, times_faster};

const RUNS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;

pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    report.section("Files, NTFS in AES-XTS 128, from memory");
    if !Path::new("/dev/fuse").exists() || !installed("ntfs-3g") || !installed("mkntfs") {
        report.line("copying", "not measured: no ntfs-3g", "");
        return Ok(());
    }
    let small = Subject::new(bench, "small", 1024 * MIB, "12G", &fill_small)?;
    small.measure(bench, report, "10 000 files of up to 16 KiB")?;
    small.remove()?;
    let large = Subject::new(bench, "large", 2600 * MIB, "24G", &fill_large)?;
    large.measure(bench, report, "one file of 2 GiB")?;
    large.remove()
}

/// The same NTFS plain and in an encrypted volume.
struct Subject {
    plain: PathBuf,
    drive: PathBuf,
    folder: PathBuf,
}

impl Subject {
    /// The volume is so much larger than NTFS that BitLocker's first region lies where NTFS keeps room for its file table,
    /// and the others behind its end.
    fn new(bench: &Bench, name: &str, bytes: u64, size: &str, fill: &dyn Fn(&Path) -> Result<()>) -> Result<Self> {
        let folder = bench.folder.path().join(name);
        std::fs::create_dir(&folder)?;
        let plain = folder.join("plain");
        std::fs::File::create(&plain)?.set_len(bytes)?;
        succeed(Command::new("mkntfs").args(["-F", "-q", "-Q"]).arg(&plain))?;
        let subject = Self { plain, drive: bench.create(&format!("files-{name}"), size, false)?, folder };
        subject.mounted("rw", fill)?;
        subject.encrypt(bench)?;
        Ok(subject)
    }

    /// Writes the plain volume into the encrypted one.
    fn encrypt(&self, bench: &Bench) -> Result<()> {
        let mount = self.folder.join("raw");
        std::fs::create_dir(&mount)?;
        let mut command = Command::new(&bench.program);
        command.arg("mount").arg(&self.drive).arg(&mount).args(["--raw", "--write", "--password-file"]);
        command.arg(bench.folder.path().join("password"));
        let mut server = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let volume = mount.join("volume.img");
        let written = wait_for(&mut server, || volume.exists()).and_then(|()| {
            let (from, to) = (format!("if={}", self.plain.display()), format!("of={}", volume.display()));
            succeed(Command::new("dd").args([&from, &to, "bs=1M", "conv=notrunc"]))
        });
        let unmounted = succeed(Command::new("fusermount3").arg("-u").arg(&mount));
        server.wait()?;
        written.and(unmounted)
    }

    /// Works on the plain files, by way of ntfs-3g.
    fn mounted<T>(&self, options: &str, work: &dyn Fn(&Path) -> Result<T>) -> Result<T> {
        let folder = self.folder.join("mount");
        std::fs::create_dir_all(&folder)?;
        // In the foreground, so that its end can be waited for.
        let mut command = Command::new("ntfs-3g");
        command.args(["-o", &format!("no_detach,{options}")]).arg(&self.plain).arg(&folder);
        let mut driver = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mounts = || std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let place = folder.display().to_string();
        wait_for(&mut driver, || mounts().contains(&place))?;
        let done = work(&folder);
        let unmounted = succeed(Command::new("fusermount3").arg("-u").arg(&folder));
        driver.wait()?;
        unmounted.and(done)
    }

    fn measure(&self, bench: &Bench, report: &mut Report, what: &str) -> Result<()> {
        let (ours, theirs) = (self.folder.join("ours"), self.folder.join("theirs"));
        let command = || {
            let mut command = Command::new(&bench.program);
            command.arg("cp").arg(&self.drive).arg("/").arg(&ours);
            command.arg("--password-file").arg(bench.folder.path().join("password"));
            command
        };
        let our_ms = median_ms(RUNS, || {
            clear(&ours)?;
            succeed(&mut command())
        })?;
        // Mounted anew for each run: neither side finds anything in a cache of files.
        let mut times = Vec::new();
        for _ in 0..RUNS {
            clear(&theirs)?;
            times.push(self.mounted("ro", &|folder| {
                let start = Instant::now();
                succeed(Command::new("cp").arg("-a").arg(folder).arg(&theirs))?;
                Ok(start.elapsed().as_secs_f64() * 1000.0)
            })?);
        }
        times.sort_by(f64::total_cmp);
        let their_ms = times.get(RUNS / 2).copied().context("no run")?;
        succeed(Command::new("diff").arg("-r").args([&ours, &theirs])).context("the copies differ")?;
        clear(&theirs)?;
        report.line(format!("`cp`: {what}"), format!("{our_ms:.0} ms"), "");
        let seen = format!("{their_ms:.0} ms; ours is {}", times_faster(our_ms, their_ms));
        report.line("`cp -a` from ntfs-3g, not encrypted", seen, "not slower");
        clear(&ours)?;
        let memory = peak_memory_kib(&mut command())?;
        report.line("peak memory of `cp`", format!("{:.1} MiB", f64::from(memory) / 1024.0), "");
        Ok(())
    }

    fn remove(&self) -> Result<()> {
        std::fs::remove_file(&self.drive)?;
        Ok(std::fs::remove_dir_all(&self.folder)?)
    }
}

fn wait_for(process: &mut Child, ready: impl Fn() -> bool) -> Result<()> {
    let start = Instant::now();
    while !ready() {
        if let Some(status) = process.try_wait()? {
            anyhow::bail!("a mount ended: {status}");
        }
        ensure!(start.elapsed() < PATIENCE, "a mount does not get ready");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}

/// Bytes that cannot be compressed, nor taken for a hole.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    std::iter::repeat_with(next).flat_map(u64::to_le_bytes).take(length).collect()
}

fn fill_small(root: &Path) -> Result<()> {
    let bytes = noise(1 << 20);
    for directory in 0..100 {
        let folder = root.join(format!("folder {directory}"));
        std::fs::create_dir(&folder)?;
        for file in 0..100 {
            let number = directory * 100 + file;
            let (start, length) = (number * 97, 200 + number * 617 % 16_000);
            std::fs::write(
                folder.join(format!("file {file}.bin")),
                bytes.get(start..start + length).context("short")?,
            )?;
        }
    }
    Ok(())
}

fn fill_large(root: &Path) -> Result<()> {
    use std::io::Write;
    // An odd length, so that no two chunks are the same.
    let bytes = noise((4 << 20) + 8);
    let mut file = std::fs::File::create(root.join("large.bin"))?;
    for _ in 0..512 {
        file.write_all(&bytes)?;
    }
    Ok(())
}

//! Mounts and network exports: a volume of 2 GiB in memory, read and written through them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::keys::PASSWORD;
use super::measure::{installed, succeed};
use super::report::Report;
use super::{Bench, example};

const RUNS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);
/// Where 1 GiB can be written that lies between BitLocker's own regions in a volume of 2 GiB, in MiB.
const FREE_MIB: u64 = 520;

pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    report.section("Mounts and network exports, 2 GiB, AES-XTS 128, from memory");
    let image = bench.create("export", "2G", true)?;
    if Path::new("/dev/fuse").exists() && installed("fusermount3") {
        mounts(bench, &image, report)?;
    }
    if installed("nbdcopy") {
        let socket = bench.folder.path().join("nbd.sock");
        let server = Running::start(bench.keyhaven(&["export", "nbd"], &image).arg("--socket").arg(&socket), &socket)?;
        let uri = format!("nbd+unix:///?socket={}", socket.display());
        let speed = median(RUNS, || timed(Command::new("nbdcopy").args([&uri, "null:"]), 2048))?;
        report.line("NBD: `nbdcopy` to nowhere", gigabytes(speed), "2 GB/s");
        server.end()?;
    }
    Ok(())
}

fn mounts(bench: &Bench, image: &Path, report: &mut Report) -> Result<()> {
    let (mount, other) = (bench.folder.path().join("mount"), bench.folder.path().join("plain"));
    let ours = |more: &[&str]| {
        let mut command = bench.keyhaven(&["mount"], image);
        command.arg(&mount).arg("--raw").args(more);
        command
    };
    let mut plain = Command::new(example("plain_file"));
    plain.arg(image).arg(&other);
    std::fs::create_dir_all(&mount)?;
    std::fs::create_dir_all(&other)?;
    let (file, plain_file) = (mount.join("volume.img"), other.join("volume.img"));
    // By turns, so that all have the same machine: other work on it passes.
    let reads = || {
        beside_dislocker(bench, image, |theirs| match theirs {
            None => {
                medians(RUNS, [&mut || read(&file, 2048), &mut || read(&plain_file, 2048)]).map(|[a, b]| (a, b, None))
            }
            // It is slow, so less is moved.
            Some(theirs) => {
                let works: [Work<'_>; 3] =
                    [&mut || read(&file, 2048), &mut || read(&plain_file, 2048), &mut || read(theirs, 256)];
                medians(RUNS, works).map(|[a, b, c]| (a, b, Some(c)))
            }
        })
    };
    let (our_read, plain_read, their_read) = through(ours(&[]), &file, || through(plain, &plain_file, reads))?;
    report.line("`mount --raw`: reading, pieces of 1 MiB", gigabytes(our_read), "");
    let seen = format!("{}; ours is {:.0} % of it", gigabytes(plain_read), our_read / plain_read * 100.0);
    report.line("a plain file mounted the same way", seen, "70 %");
    let writes = || {
        beside_dislocker(bench, image, |theirs| match theirs {
            None => median(RUNS, || write(&file, 1024)).map(|speed| (speed, None)),
            Some(theirs) => {
                medians(RUNS, [&mut || write(&file, 1024), &mut || write(theirs, 64)]).map(|[a, b]| (a, Some(b)))
            }
        })
    };
    let (our_write, their_write) = through(ours(&["--write"]), &file, writes)?;
    report.line("`mount --raw --write`: writing, pieces of 1 MiB", gigabytes(our_write), "");
    for (what, ours, theirs, aim) in
        [("reading", our_read, their_read, "5 times"), ("writing", our_write, their_write, "10 times")]
    {
        if let Some(theirs) = theirs {
            let seen = format!("{}; ours is {:.1} times faster", gigabytes(theirs), ours / theirs);
            report.line(format!("{what} through `dislocker-fuse`"), seen, aim);
        }
    }
    Ok(())
}

impl Bench {
    /// A command that unlocks `image`.
    fn keyhaven(&self, words: &[&str], image: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).arg(image).arg("--password-file").arg(self.folder.path().join("password"));
        command
    }
}

/// Works while dislocker has the volume mounted, too, and with its file; without, where it is not installed.
fn beside_dislocker<T>(bench: &Bench, image: &Path, work: impl FnOnce(Option<&Path>) -> Result<T>) -> Result<T> {
    if !installed("dislocker-fuse") {
        return work(None);
    }
    let folder = bench.folder.path().join("dislocker");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("dislocker-file");
    let mut command = Command::new("dislocker-fuse");
    // In the foreground, as ours.
    command.arg("-V").arg(image).args([&format!("-u{PASSWORD}"), "--", "-f"]).arg(&folder);
    through(command, &file, || work(Some(&file)))
}

/// Mounts, works, unmounts.
fn through<T>(mut command: Command, file: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let running = Running::start(&mut command, file)?;
    let found = work();
    succeed(Command::new("fusermount3").arg("-u").arg(file.parent().context("no folder")?))?;
    running.wait()?;
    found
}

/// Speed of reading the file, of which the kernel has nothing in its cache.
fn read(file: &Path, mib: u64) -> Result<f64> {
    let from = format!("if={}", file.display());
    // `dd` drops the cache of a whole file in this way. Mounting anew would give the memory back to the host of a virtual
    // machine, and getting it again would be what is measured.
    succeed(Command::new("dd").args([&from, "of=/dev/null", "iflag=nocache", "count=0"]))?;
    timed(Command::new("dd").args([&from, "of=/dev/null", "bs=1M", &format!("count={mib}")]), mib)
}

fn write(file: &Path, mib: u64) -> Result<f64> {
    let to = format!("of={}", file.display());
    let place = [format!("seek={FREE_MIB}"), format!("count={mib}")];
    timed(Command::new("dd").args(["if=/dev/zero", &to, "bs=1M", "conv=notrunc"]).args(place), mib)
}

/// Speed of a command that moves so much, in MB/s.
fn timed(command: &mut Command, mib: u64) -> Result<f64> {
    let start = Instant::now();
    succeed(command)?;
    // A few GiB: exact in 32 bits.
    Ok(f64::from(u32::try_from(mib)?) * 1.048_576 / start.elapsed().as_secs_f64())
}

fn median(runs: usize, mut work: impl FnMut() -> Result<f64>) -> Result<f64> {
    medians(runs, [&mut work]).map(|[speed]| speed)
}

/// Something that is measured, in MB/s.
type Work<'a> = &'a mut dyn FnMut() -> Result<f64>;

/// Does several things by turns; what the first turn needs to warm up is left out.
fn medians<const N: usize>(runs: usize, mut works: [Work<'_>; N]) -> Result<[f64; N]> {
    let mut speeds = [const { Vec::new() }; N];
    for run in 0..=runs {
        for (work, speeds) in works.iter_mut().zip(&mut speeds) {
            let speed = work()?;
            if run > 0 {
                speeds.push(speed);
            }
        }
    }
    Ok(speeds.map(|mut speeds| {
        speeds.sort_by(f64::total_cmp);
        speeds[runs / 2]
    }))
}

fn gigabytes(megabytes: f64) -> String {
    format!("{:.2} GB/s", megabytes / 1000.0)
}

/// A server or a mount.
struct Running(Child);

impl Running {
    /// Starts it and waits until `sign` is there.
    fn start(command: &mut Command, sign: &Path) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut running = Self(child.with_context(|| format!("{command:?} cannot be started"))?);
        let start = Instant::now();
        while !sign.exists() {
            if let Some(status) = running.0.try_wait()? {
                bail!("{command:?} ended: {status}");
            }
            ensure!(start.elapsed() < PATIENCE, "{command:?} does not get ready");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(running)
    }

    fn end(self) -> Result<()> {
        let process = nix::unistd::Pid::from_raw(i32::try_from(self.0.id())?);
        nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGINT)?;
        self.wait()
    }

    fn wait(mut self) -> Result<()> {
        let status = self.0.wait()?;
        ensure!(status.success(), "it ended badly: {status}");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless something failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

//! `cargo xtask setup`: what the tests need beyond Rust.
//!
//! Debian packages are installed when this runs as root on Debian; elsewhere the missing programs are named and the tests
//! that need them say that they were skipped.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::portal;
use crate::run::{command, succeed, succeeds};

/// A program the tests use, and the Debian package that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("cryptsetup", "cryptsetup-bin"),
    ("dislocker-file", "dislocker"),
    ("bdeinfo", "libbde-utils"),
    ("fusermount", "fuse3"),
    ("mkfs.fat", "dosfstools"),
    ("mcopy", "mtools"),
    ("mkntfs", "ntfs-3g"),
    ("mkfs.exfat", "exfatprogs"),
    ("mount.exfat-fuse", "exfat-fuse"),
    ("fusermount3", "fuse3"),
    ("setfattr", "attr"),
    ("xz", "xz-utils"),
    ("sqlite3", "sqlite3"),
    ("gcc", "gcc"),
    ("g++", "g++"),
    ("qemu-img", "qemu-utils"),
    ("ewfacquire", "ewf-tools"),
    ("sfdisk", "fdisk"),
    ("sgdisk", "gdisk"),
    ("setpriv", "util-linux"),
    ("losetup", "mount"),
    ("nbdcopy", "libnbd-bin"),
    ("openssl", "openssl"),
    ("curl", "curl"),
    ("cadaver", "cadaver"),
    ("pdftotext", "poppler-utils"),
    ("zbarimg", "zbar-tools"),
    ("mount.davfs", "davfs2"),
    ("mke2fs", "e2fsprogs"),
    ("script", "bsdutils"),
    ("mandoc", "mandoc"),
    ("groff", "groff-base"),
    ("age", "age"),
    ("sqlite3", "sqlite3"),
    ("zsh", "zsh"),
    ("fish", "fish"),
    ("promtool", "prometheus"),
    ("pebble", "pebble"),
    ("systemd-analyze", "systemd"),
    ("pg_ctlcluster", "postgresql"),
    ("chromium", "chromium"),
    ("faketime", "faketime"),
];

/// What the set-up found and made; names go to the tests in the environment.
pub(crate) struct Ready {
    /// The unpacked corpus, where there is one.
    pub(crate) corpus: Option<PathBuf>,
    /// The Python environment with other implementations.
    pub(crate) judges: PathBuf,
}

/// Does all set-up; a second run finds everything done.
pub(crate) fn run() -> Result<Ready> {
    install_packages()?;
    let judges = judges();
    let corpus = corpus()?;
    // Before anything is built: the program takes the pages in.
    portal::run_if_possible()?;
    Ok(Ready { corpus, judges })
}

fn install_packages() -> Result<()> {
    let mut missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !installed(program)).map(|(_, package)| *package).collect();
    if !succeeds(&mut command("python3", &["-c", "import ensurepip, venv"])) {
        missing.push("python3-venv");
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() || !installed("apt-get") {
        eprintln!("setup: not installed, so some tests will be skipped: {}", missing.join(" "));
        eprintln!("setup: on Debian, as root: apt-get install {}", missing.join(" "));
        return Ok(());
    }
    println!("setup: installing {}", missing.join(" "));
    let apt = |arguments: &[&str]| {
        let mut apt = command("apt-get", arguments);
        apt.env("DEBIAN_FRONTEND", "noninteractive").env("UCF_FORCE_CONFFOLD", "1");
        succeed(&mut apt)
    };
    without_clusters();
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(missing);
    apt(&install)
}

/// The tests start servers of PostgreSQL for themselves: its package need not set one up for the whole machine.
fn without_clusters() {
    let file = Path::new("/etc/postgresql-common/createcluster.conf");
    if !file.exists() {
        // Should it not be possible, there is one server more than needed.
        let _ = std::fs::create_dir_all("/etc/postgresql-common");
        let _ = std::fs::write(file, "create_main_cluster = false\n");
    }
}

fn installed(program: &str) -> bool {
    ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists())
}

/// What the Python environment has: a newer libbde and a newer OpenSSL than Debian's, and judges of the service's interface. Module, package.
const JUDGES: &[(&str, &str)] = &[
    ("pybde", "libbde-python"),
    ("OpenSSL", "pyOpenSSL"),
    ("aiosmtpd", "aiosmtpd==1.4.6"),
    ("openapi_spec_validator", "openapi-spec-validator==0.9.0"),
    ("schemathesis", "schemathesis==4.32.5"),
];

/// A Python environment with other implementations. Without it the tests that want it say so.
fn judges() -> PathBuf {
    let folder = crate::root().join("target/judges");
    let python = folder.join("bin/python");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let here = |module: &str| succeeds(&mut command(&text(&python), &["-c", &format!("import {module}")]));
    let missing: Vec<&str> = JUDGES.iter().filter(|(module, _)| !here(module)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return folder;
    }
    println!("setup: installing {} into target/judges", missing.join(" "));
    let mut install = vec!["-m", "pip", "install", "--quiet"];
    install.extend(missing);
    let made = if python.exists() { Ok(()) } else { succeed(&mut command("python3", &["-m", "venv", &text(&folder)])) };
    if let Err(error) = made.and_then(|()| succeed(&mut command(&text(&python), &install))) {
        eprintln!("setup: {error:#}");
    }
    folder
}

/// Unpacks the volumes made by Windows, where they are.
fn corpus() -> Result<Option<PathBuf>> {
    let source =
        std::env::var_os("KEYHAVEN_CORPUS").map_or_else(|| crate::root().join("../shared/corpus"), PathBuf::from);
    let archive = source.join("corpus.tar.xz");
    let folder = crate::root().join("target/corpus");
    if !archive.exists() {
        println!("setup: no corpus of Windows volumes at {}", source.display());
        return Ok(None);
    }
    let stamp = folder.join("unpacked");
    let newer = |path: &Path| path.metadata().and_then(|data| data.modified());
    if stamp.exists() && newer(&stamp)? >= newer(&archive)? {
        return Ok(Some(folder));
    }
    println!("setup: unpacking the corpus of Windows volumes");
    std::fs::create_dir_all(&folder)?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    succeed(&mut command("tar", &["-C", &text(&folder), "-xSJf", &text(&archive)]))?;
    std::fs::write(&stamp, "").context("cannot mark the corpus as unpacked")?;
    Ok(Some(folder))
}

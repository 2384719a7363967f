//! Drives inside whole disks: every format of image, partitions by number, and what can be wrong with them.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use crate::harness::{Bench, Ran};

const MIB: u64 = 1 << 20;
/// Three partitions; the second is where `d.img` fits.
pub(crate) const GPT: &str =
    "label: gpt\nstart=2048,size=4MiB,type=U,name=\"EFI\"\nstart=10240,size=64MiB\nsize=64MiB\n";

impl Bench {
    /// A disk of 140 MiB with this table, and a copy of `d.img` at each of these places (in MiB).
    pub(crate) fn whole_disk(&self, name: &str, script: &str, volumes_mib: &[u64]) {
        let file = File::create_new(self.path(name)).unwrap();
        file.set_len(140 * MIB).unwrap();
        let mut sfdisk = Command::new("/usr/sbin/sfdisk");
        sfdisk.args(["-q", "--no-reread", "--no-tell-kernel", name]).current_dir(self.folder.path());
        let mut child = sfdisk.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        let volume = std::fs::read(self.path("d.img")).unwrap();
        for place in volumes_mib {
            for (index, block) in
                volume.chunks(1 << 16).enumerate().filter(|(_, block)| block.iter().any(|byte| *byte != 0))
            {
                file.write_all_at(block, place * MIB + (index << 16) as u64).unwrap();
            }
        }
    }

    /// Runs another program in the folder.
    pub(crate) fn other(&self, line: &str) {
        let mut words = line.split_whitespace();
        let ran = Command::new(words.next().unwrap()).args(words).current_dir(self.folder.path()).output().unwrap();
        assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

#[test]
fn a_drive_inside_every_format_of_image_is_decrypted() {
    if !testkit::programs(&["sfdisk", "qemu-img", "ewfacquire"]) {
        return;
    }
    let bench = Bench::with_drive();
    bench.whole_disk("disk.img", GPT, &[5]);
    bench.run("decrypt d.img --output plain --password-file password").text();
    let plain = std::fs::read(bench.path("plain")).unwrap();
    assert!(bench.run("info disk.img:2").text().contains("disk.img:2: BitLocker volume"));
    for (name, options) in [
        ("fixed.vhd", "-O vpc -o subformat=fixed,force_size=on"),
        ("dynamic.vhd", "-O vpc -o subformat=dynamic"),
        ("fixed.vhdx", "-O vhdx -o subformat=fixed"),
        ("dynamic.vhdx", "-O vhdx"),
        ("disk.qcow2", "-O qcow2"),
        ("packed.qcow2", "-c -O qcow2"),
        ("sparse.vmdk", "-O vmdk"),
        ("flat.vmdk", "-O vmdk -o subformat=monolithicFlat"),
        ("case.E01", ""),
    ] {
        if options.is_empty() {
            bench.other("ewfacquire -u -q -c deflate:fast -t case disk.img");
        } else {
            bench.other(&format!("qemu-img convert -f raw {options} disk.img {name}"));
        }
        // With the number, and without: the note tells it.
        let info = bench.run(&format!("info {name}:2"));
        assert!(info.text().contains("BitLocker volume") && info.stderr.is_empty(), "{}", info.stderr);
        let ran = bench.run(&format!("decrypt {name} --output out --password-file password"));
        assert_eq!(ran.status, 0, "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("its BitLocker volume is {name}:2")), "{}", ran.stderr);
        assert!(std::fs::read(bench.path("out")).unwrap() == plain, "{name}");
        std::fs::remove_file(bench.path("out")).unwrap();
        assert_eq!(bench.run(&format!("cat {name}:2 tree/hello.txt --password-file password")).text(), "hello");
    }
}

#[test]
fn a_volume_without_a_partition_table_in_an_image_is_taken() {
    if !testkit::programs(&["qemu-img"]) {
        return;
    }
    let bench = Bench::with_drive();
    bench.other("qemu-img convert -f raw -O vhdx d.img d.vhdx");
    let ran = bench.run("cat d.vhdx tree/hello.txt --password-file password");
    assert_eq!((ran.text(), &*ran.stderr), ("hello".to_owned(), ""));
    assert!(bench.run("info d.vhdx:1").refused(1).contains("it has no partition table"));
}

#[test]
fn several_volumes_must_be_named() {
    if !testkit::programs(&["sfdisk"]) {
        return;
    }
    let bench = Bench::with_drive();
    bench.whole_disk("disk.img", GPT, &[5, 69]);
    let ran = bench.run("info disk.img");
    let told = ran.refused(1);
    assert!(told.contains("holds 2 BitLocker volumes") && told.contains("3 (Linux, 64 MiB)"), "{told}");
    assert!(told.contains("name one of them: disk.img:2"), "{told}");
    for number in [2, 3] {
        assert_eq!(
            bench.run(&format!("cat disk.img:{number} tree/hello.txt --password-file password")).text(),
            "hello"
        );
    }
    let ran = bench.run("info disk.img:1");
    assert!(ran.refused(1).contains("disk.img:1 is not a BitLocker drive"), "{}", ran.stderr);
    for number in ["0", "4", "99999999999999999999"] {
        let ran = bench.run(&format!("info disk.img:{number}"));
        assert!(ran.refused(1).contains("its partitions are: 1 (EFI system, \"EFI\", 4 MiB), 2 ("), "{}", ran.stderr);
    }
}

#[test]
fn logical_partitions_have_their_numbers() {
    if !testkit::programs(&["sfdisk"]) {
        return;
    }
    let bench = Bench::with_drive();
    let script = "label: dos\n2048,2048,c\n4096,,5\n6144,2048,83\n10240,131072,7\n";
    bench.whole_disk("disk.img", script, &[5]);
    assert_eq!(bench.run("cat disk.img:6 tree/hello.txt --password-file password").text(), "hello");
    let ran = bench.run("verify disk.img --recovery-password-file key.txt");
    assert!(ran.stderr.contains("disk.img:6"), "{}", ran.stderr);
    assert!(bench.run("info disk.img:2").refused(1).contains("has no partition 2"));
}

#[test]
fn a_disk_without_bitlocker_tells_its_partitions() {
    if !testkit::programs(&["sfdisk"]) {
        return;
    }
    let bench = Bench::with_drive();
    bench.whole_disk("disk.img", GPT, &[]);
    let ran = bench.run("info disk.img");
    let told = ran.refused(1);
    assert!(told.contains("disk.img is not a BitLocker drive") && told.contains("no partition holds"), "{told}");
    assert!(told.contains("1 (EFI system, \"EFI\", 4 MiB)"), "{told}");
    let listed = bench.run("drives disk.img");
    assert!(listed.text().contains("No BitLocker volume"), "{listed:?}");
}

#[test]
fn a_file_whose_name_ends_like_a_partition_is_that_file() {
    let bench = Bench::with_drive();
    std::fs::rename(bench.path("d.img"), bench.path("d.img:2")).unwrap();
    assert_eq!(bench.run("cat d.img:2 tree/hello.txt --password-file password").text(), "hello");
    assert!(bench.run("info d.img:3").refused(2).contains("cannot open d.img"));
}

#[test]
fn a_damaged_partition_table_is_told_and_its_backup_used() {
    if !testkit::programs(&["sfdisk"]) {
        return;
    }
    let bench = Bench::with_drive();
    bench.whole_disk("disk.img", GPT, &[5]);
    let file = File::options().write(true).open(bench.path("disk.img")).unwrap();
    file.write_all_at(&[0xFF; 100], 1024).unwrap();
    let ran = bench.run("cat disk.img:2 tree/hello.txt --password-file password");
    assert_eq!(ran.text(), "hello");
    assert!(ran.stderr.contains("warning: disk.img: ") && ran.stderr.contains("its backup is used"), "{}", ran.stderr);
    file.write_all_at(&[0xFF; 512], 140 * MIB - 512).unwrap();
    let ran = bench.run("info disk.img:2");
    assert!(ran.refused(1).contains("the partitions of disk.img cannot be found"), "{}", ran.stderr);
    // The name of a partition cannot drive the terminal.
    bench.whole_disk("name.img", &GPT.replace("\"EFI\"", "\"E\u{1b}[2J\u{202e}\""), &[]);
    let ran = bench.run("info name.img");
    assert!(ran.refused(1).contains("\\u{1b}[2J\\u{202e}"), "{}", ran.stderr);
}

#[test]
fn a_disk_that_ends_inside_its_volume_is_told() {
    if !testkit::programs(&["sfdisk", "qemu-img"]) {
        return;
    }
    let bench = Bench::with_drive();
    bench.whole_disk("disk.img", GPT, &[5]);
    File::options().write(true).open(bench.path("disk.img")).unwrap().set_len(66 * MIB).unwrap();
    let ran = bench.run("info disk.img:2");
    assert!(ran.text().contains("incomplete") && ran.stderr.contains("ends behind the end of the disk"), "{ran:?}");
    let refused = bench.run("decrypt disk.img:2 --output out --password-file password");
    assert!(refused.refused(1).contains("--allow-short"), "{}", refused.stderr);
    assert_eq!(bench.run("cat disk.img:2 tree/hello.txt --allow-short --password-file password").text(), "hello");
    let gone = bench.run("info disk.img:3");
    assert!(gone.refused(1).contains("disk.img:3"), "{}", gone.stderr);
    // In a format of its own: the file is too short for its tables, or for the data.
    bench.other("qemu-img convert -f raw -O qcow2 d.img d.qcow2");
    for part in [1, 2, 3, 4, 5, 6, 7] {
        let whole = std::fs::read(bench.path("d.qcow2")).unwrap();
        bench.file("cut.qcow2", &whole[..whole.len() * part / 8]);
        let ran: Ran = bench.run("decrypt cut.qcow2 --output out --password-file password");
        assert!(ran.status == 1 || ran.status == 2, "{ran:?}");
        assert!(ran.refused(ran.status).contains("cut off") || ran.stderr.contains("metadata"), "{}", ran.stderr);
        assert!(!bench.path("out").exists());
    }
}

#[test]
fn images_that_name_other_files_are_refused_with_a_way_out() {
    if !testkit::programs(&["qemu-img"]) {
        return;
    }
    let bench = Bench::with_drive();
    bench.other("qemu-img create -q -f qcow2 -F raw -b d.img child.qcow2");
    let ran = bench.run("info child.qcow2");
    assert!(
        ran.refused(1).contains("changes to another image") && ran.stderr.contains("qemu-img convert"),
        "{}",
        ran.stderr
    );
    bench.file("evil.vmdk", b"# Disk DescriptorFile\nRW 8 FLAT \"/etc/shadow\" 0\n");
    let ran = bench.run("info evil.vmdk");
    assert!(ran.refused(1).contains("not in its own folder"), "{}", ran.stderr);
    bench.file("half.vmdk", b"# Disk DescriptorFile\nRW 8 FLAT \"gone.vmdk\" 0\n");
    assert!(bench.run("info half.vmdk").refused(2).contains("all files of an image must lie in one folder"));
}

//! The list of drives: of images, and of a computer whose devices are made up of files.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use serde_json::Value;

use crate::disks::GPT;
use crate::harness::{Bench, Ran};

/// A made-up computer: folders in the manner of sysfs and `/dev`.
impl Bench {
    /// A device with these files in its folder. `place` is where sysfs keeps it; a partition lies in its disk.
    fn device(&self, place: &str, files: &[(&str, &str)]) {
        let folder = self.path(&format!("sys/devices/{place}"));
        std::fs::create_dir_all(folder.join("holders")).unwrap();
        std::fs::create_dir_all(folder.join("slaves")).unwrap();
        for (name, content) in files {
            self.file(&format!("sys/devices/{place}/{name}"), format!("{content}\n").as_bytes());
        }
        std::fs::create_dir_all(self.path("sys/class/block")).unwrap();
        let name = folder.file_name().unwrap();
        symlink(&folder, self.path("sys/class/block").join(name)).unwrap();
    }

    /// What the device holds.
    fn in_device(&self, name: &str, image: &str) {
        std::fs::create_dir_all(self.path("dev/mapper")).unwrap();
        std::fs::hard_link(self.path(image), self.path(&format!("dev/{name}"))).unwrap();
    }

    fn drives(&self) -> Ran {
        self.run("drives --sys-root sys --dev-root dev")
    }

    fn drives_json(&self) -> Value {
        self.run("drives --sys-root sys --dev-root dev --json").json()
    }
}

fn names(document: &Value) -> Vec<&str> {
    document["drives"].as_array().unwrap().iter().map(|drive| drive["drive"].as_str().unwrap()).collect()
}

#[test]
fn drives_of_a_computer_are_listed_with_what_a_person_needs() {
    let bench = Bench::with_drive();
    bench.file("other", &vec![7; 1 << 20]);
    bench.device(
        "pci0/usb1/sda",
        &[("size", "400000"), ("removable", "1"), ("device/vendor", "SanDisk"), ("device/model", "Ultra Fit")],
    );
    bench.device("pci0/usb1/sda/sda1", &[("size", "2048"), ("partition", "1")]);
    bench.device("pci0/usb1/sda/sda2", &[("size", "131072"), ("partition", "2")]);
    bench.device("virtual/loop0", &[("size", "0")]);
    bench.device("virtual/ram0", &[("size", "131072")]);
    bench.device("virtual/zram0", &[("size", "131072")]);
    bench.device("platform/fd0", &[("size", "131072")]);
    bench.device("pci0/sr0", &[("size", "2097151"), ("removable", "1")]);
    for (name, image) in [
        ("sda", "other"),
        ("sda1", "other"),
        ("sda2", "d.img"),
        ("ram0", "d.img"),
        ("zram0", "d.img"),
        ("fd0", "d.img"),
    ] {
        bench.in_device(name, image);
    }
    let document = bench.drives_json();
    assert_eq!(names(&document), ["dev/sda2"], "{document}");
    let drive = &document["drives"][0];
    assert_eq!((&drive["model"], &drive["removable"]), (&Value::from("SanDisk Ultra Fit"), &Value::from(true)));
    assert_eq!((&drive["protection"], &drive["state"]), (&Value::from("on"), &Value::from("encrypted")));
    let ran = bench.drives();
    let (text, info) = (ran.text(), bench.run("info d.img --json").json());
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    let protectors = info["protectors"].as_array().unwrap();
    let recovery = protectors.iter().find(|protector| protector["kind"] == "recovery password").unwrap();
    for expected in [
        "DRIVE",
        "PROTECTION",
        "dev/sda2  64 MiB  xts-aes-128  encrypted  on ",
        "KEYHAVEN",
        "SanDisk Ultra Fit",
        recovery["key_id"].as_str().unwrap(),
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // The name works in other commands.
    assert_eq!(bench.run("cat dev/sda2 tree/hello.txt --password-file password").text(), "hello");
}

#[test]
fn what_is_composed_of_other_devices_is_listed_once() {
    let bench = Bench::with_drive();
    // Two paths to one disk, and a mirror of two partitions. `sdd` is a copy somewhere else.
    for name in ["sda", "sdb", "sdc", "sdd"] {
        bench.device(&format!("pci0/{name}"), &[("size", "131072")]);
        bench.in_device(name, "d.img");
    }
    bench.device("virtual/dm-0", &[("size", "131072"), ("dm/name", "mpatha"), ("slaves/sda", ""), ("slaves/sdb", "")]);
    bench.in_device("dm-0", "d.img");
    bench.in_device("mapper/mpatha", "d.img");
    bench.file("sys/devices/pci0/sda/holders/dm-0", b"");
    bench.file("sys/devices/pci0/sdb/holders/dm-0", b"");
    assert_eq!(names(&bench.drives_json()), ["dev/mapper/mpatha", "dev/sdc", "dev/sdd"]);
}

#[test]
fn partitions_that_the_system_did_not_look_for_are_found() {
    if !testkit::programs(&["sfdisk"]) {
        return;
    }
    let bench = Bench::with_drive();
    bench.whole_disk("disk.img", GPT, &[5, 69]);
    bench.device("virtual/loop7", &[("size", "286720"), ("loop/backing_file", "/srv/images/disk.img")]);
    bench.device("virtual/nbd0", &[("size", "0")]);
    bench.in_device("loop7", "disk.img");
    let document = bench.drives_json();
    assert_eq!(names(&document), ["dev/loop7:2", "dev/loop7:3"]);
    assert_eq!(document["drives"][0]["model"], "/srv/images/disk.img");
    assert_eq!(bench.run("cat dev/loop7:3 tree/hello.txt --password-file password").text(), "hello");
}

#[test]
fn devices_that_cannot_be_opened_are_told_once() {
    let bench = Bench::with_drive();
    for name in ["sda", "sdb", "sdc", "sdd"] {
        bench.device(&format!("pci0/{name}"), &[("size", "131072")]);
    }
    bench.in_device("sda", "d.img");
    // A link in a circle: an error that is none of rights. `sdd` has gone since.
    symlink("sdb", bench.path("dev/sdb")).unwrap();
    let ran = bench.drives();
    assert!(ran.text().contains("dev/sda "), "{ran:?}");
    assert_eq!(ran.stderr.matches("cannot be read").count(), 1, "{}", ran.stderr);

    let closed = bench.file("dev/sdc", b"closed");
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    if std::fs::read(&closed).is_ok() {
        // Root may read everything; somebody else may not.
        if !testkit::programs(&["setpriv"]) {
            return;
        }
        std::fs::set_permissions(bench.folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::copy(env!("CARGO_BIN_EXE_keyhaven"), bench.path("keyhaven")).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "./keyhaven", "drives"]);
        check_rights(&Ran::new(
            command.args(["--sys-root", "sys", "--dev-root", "dev"]).current_dir(bench.folder.path()).output().unwrap(),
        ));
    } else {
        check_rights(&bench.drives());
    }
}

fn check_rights(ran: &Ran) {
    assert!(ran.text().contains("dev/sda "), "{ran:?}");
    assert!(ran.stderr.contains("for lack of rights: dev/sdc\n") && ran.stderr.contains("`disk`"), "{}", ran.stderr);
}

#[test]
fn a_computer_without_such_drives_or_without_sysfs_says_so() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path("sys/class/block")).unwrap();
    assert!(bench.drives().text().contains("No BitLocker drive was found"));
    assert_eq!(names(&bench.drives_json()), [""; 0]);
    std::fs::remove_dir_all(bench.path("sys")).unwrap();
    assert!(bench.drives().refused(2).contains("keyhaven drives PATH"));
}

/// Whatever this computer has, the list can be made.
#[test]
fn this_computer_is_listed() {
    if !std::path::Path::new("/sys/class/block").exists() {
        testkit::skip("no sysfs");
        return;
    }
    let bench = Bench::new();
    assert!(bench.run("drives --json").json()["drives"].is_array());
}

#[test]
fn volumes_inside_images_are_listed() {
    if !testkit::programs(&["sfdisk", "qemu-img"]) {
        return;
    }
    let bench = Bench::with_drive();
    bench.whole_disk("disk.img", GPT, &[5]);
    bench.other("qemu-img convert -f raw -O vhdx disk.img disk.vhdx");
    bench.file("text", b"just a text");
    bench.damaged("broken.img", |bytes| {
        for at in (0..bytes.len() - 8).step_by(512) {
            if at > 0 && bytes[at..].starts_with(b"-FVE-FS-") {
                bytes[at + 100] ^= 1;
            }
        }
    });
    let ran = bench.run("drives d.img disk.vhdx text broken.img --json");
    let document = ran.json();
    assert_eq!(names(&document), ["d.img", "disk.vhdx:2", "broken.img"], "{document}");
    assert!(document["drives"][2]["damaged"].as_str().unwrap().contains("three copies"), "{document}");
    let text = bench.run("drives d.img disk.vhdx broken.img").text();
    assert_eq!(text.lines().count(), 4, "{text}");
    // One that cannot be opened does not keep the others from being listed.
    let ran = bench.run("drives nothing d.img");
    assert!(ran.refused(2).contains("cannot open nothing"));
    assert!(String::from_utf8_lossy(&ran.stdout).contains("d.img  64 MiB"));
}

#[test]
fn suspended_and_decrypted_drives_are_told() {
    let Some(corpus) = testkit::corpus() else { return };
    let bench = Bench::new();
    let protection = |image: &str| {
        let path = corpus.join(image);
        let listed = bench.run_with("drives --json", &[path.as_os_str()]).json();
        listed["drives"][0]["protection"].as_str().unwrap().to_owned()
    };
    assert_eq!(protection("bitlk-aes-xts-128-clearkey-only.img"), "suspended");
    assert_eq!(protection("bitlk-aes-xts-128.img"), "on");
}

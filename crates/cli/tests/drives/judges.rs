//! Other implementations judge the drives that `create` makes, with files in them.

use testkit::judges::{self, Secret};

use crate::harness::{Bench, PASSWORD, digits_in};

#[test]
fn cryptsetup_dislocker_and_libbde_read_a_new_drive_as_we_do() {
    if !testkit::programs(&["cryptsetup", "dislocker-file"]) {
        return;
    }
    let Some(python) = testkit::judges_python("pybde") else { return };
    let bench = Bench::new();
    bench.file("letter.txt", b"hello");
    for (method, filesystem, add) in [
        ("xts-aes-128", "fat32", "--add letter.txt"),
        ("xts-aes-256", "fat32", "--add letter.txt"),
        ("xts-aes-128", "none", ""),
    ] {
        let name = format!("{method}-{filesystem}");
        let create = format!(
            "create {name}.img --size 64M --method {method} --filesystem {filesystem} --password-file password \
             --recovery-out {name}.key {add}"
        );
        bench.run(&create).text();
        bench.run(&format!("decrypt {name}.img --output {name}.ours --password-file password")).text();
        let (image, ours, theirs) =
            (bench.path(&format!("{name}.img")), bench.path(&format!("{name}.ours")), bench.path("theirs"));
        let digits = digits_in(&std::fs::read(bench.path(&format!("{name}.key"))).unwrap());
        assert!(judges::cryptsetup_dump(&image).contains("recovery passphrase"), "{name}");
        for secret in [Secret::Recovery(&digits), Secret::Password(PASSWORD)] {
            let (Secret::Recovery(text) | Secret::Password(text)) = secret;
            assert!(judges::cryptsetup_takes(&image, text), "{name}");
            judges::dislocker(&image, secret, &theirs);
            judges::assert_same(&theirs, &ours, "dislocker");
            judges::libbde(&python, &image, secret, &theirs);
            judges::assert_same(&theirs, &ours, "libbde");
            std::fs::remove_file(&theirs).unwrap();
        }
    }
}

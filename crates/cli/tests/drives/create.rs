//! Making drives.

use std::process::Command;

use crate::harness::{Bench, PASSWORD, digits_in, same};

#[test]
fn a_new_drive_opens_with_each_of_its_secrets() {
    let bench = Bench::new();
    for method in ["xts-aes-128", "xts-aes-256"] {
        let words = format!(
            "create {method}.img --size 64M --used-space-only --method {method} --password-file password --json"
        );
        let made = bench.run(&words).json();
        assert_eq!(made["method"], method);
        bench.file("digits", made["recovery_key"].as_str().unwrap().replace('-', " ").as_bytes());
        let info = bench.run(&format!("info {method}.img --json")).json();
        assert_eq!((info["method"].as_str(), info["state"].as_str()), (Some(method), Some("encrypted")));
        assert_eq!(info["protectors"].as_array().unwrap().len(), 2);
        for (secret, kind) in
            [("--password-file password", "password"), ("--recovery-password-file digits", "recovery password")]
        {
            let verified = bench.run(&format!("verify {method}.img {secret} --json")).json();
            assert_eq!((verified["opens"].clone(), verified["kind"].as_str()), (true.into(), Some(kind)));
        }
    }
}

#[test]
fn the_file_with_the_recovery_key_is_private_and_as_windows_writes_it() {
    let bench = Bench::with_drive();
    let key = std::fs::read(bench.path("key.txt")).unwrap();
    bench.run_typing("verify d.img --recovery-password-file -", &digits_in(&key)).text();
    let info = bench.run("info d.img --json").json();
    let identifier =
        info["protectors"].as_array().unwrap().iter().find(|one| one["kind"] == "recovery password").unwrap();
    let wide: Vec<u8> = identifier["identifier"].as_str().unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(key.windows(wide.len()).any(|window| window == wide));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(bench.path("key.txt")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn the_file_system_inside_is_sound_to_other_programs() {
    if !testkit::programs(&["fsck.fat", "mcopy"]) {
        return;
    }
    let bench = Bench::with_drive();
    bench.run("decrypt d.img --output plain.img --password-file password").text();
    let check = Command::new("/sbin/fsck.fat").arg("-n").arg(bench.path("plain.img")).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    std::fs::create_dir(bench.path("copied")).unwrap();
    let mut copy = Command::new("mcopy");
    copy.arg("-s").arg("-i").arg(bench.path("plain.img")).args(["::tree"]).arg(bench.path("copied"));
    assert!(copy.env("LC_ALL", "C.UTF-8").status().unwrap().success());
    assert!(same(&bench.path("tree"), &bench.path("copied/tree")));
}

#[test]
fn nothing_is_overwritten_and_nothing_half_made_is_left() {
    let bench = Bench::with_drive();
    let before = std::fs::read(bench.path("d.img")).unwrap();
    assert!(bench.run("create d.img --size 64M").refused(2).contains("never overwritten"));
    assert!(
        bench
            .run("create e.img --size 64M --used-space-only --recovery-out key.txt")
            .refused(2)
            .contains("never overwritten")
    );
    assert_eq!(std::fs::read(bench.path("d.img")).unwrap(), before);
    std::fs::File::create(bench.path("large")).unwrap().set_len(65 << 20).unwrap();
    assert!(bench.run("create e.img --size 64M --used-space-only --add large").refused(1).contains("--size"));
    assert!(
        bench.run("create e.img --size 64M --used-space-only --add nothing").refused(2).contains("cannot read nothing")
    );
    assert!(bench.run("create e.img --size 64M --used-space-only --label a*b").refused(2).contains("a*b"));
    assert!(!bench.path("e.img").exists());
}

#[test]
fn impossible_sizes_are_refused_with_the_limit() {
    let bench = Bench::new();
    assert!(bench.run("create e.img --size 63M").refused(1).contains("64 MiB is the smallest"));
    assert!(bench.run("create e.img --size 3T").refused(1).contains("--filesystem none"));
    assert!(bench.run("create e.img --size 67108865 --filesystem none").refused(1).contains("multiple of 512"));
    assert!(bench.run("create e.img --size 64M --filesystem none --add password").refused(2).contains("fat32"));
    assert_eq!(bench.run("create e.img --size huge").status, 2);
    assert!(!bench.path("e.img").exists());
}

#[test]
fn an_empty_drive_has_no_file_system_and_says_so() {
    let bench = Bench::new();
    bench.run_typing("create e.img --size 64M --filesystem none --password-file -", PASSWORD).text();
    assert!(bench.run("ls e.img --password-file password").refused(1).contains("keyhaven decrypt"));
}

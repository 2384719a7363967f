//! Files of a drive.

use std::ffi::OsStr;
use std::process::Command;

use crate::harness::{Bench, keyhaven, pattern, same};

#[test]
fn files_are_listed_shown_and_copied() {
    let bench = Bench::with_drive();
    let listed = bench.run("ls d.img tree --password-file password").text();
    assert!(listed.contains("deep/\n") && listed.contains("  hello.txt\n"), "{listed}");
    let all = bench.run("ls d.img -r --json --recovery-password-file key.txt").json();
    assert_eq!(all["entries"].as_array().unwrap().len(), 5, "{all}");
    assert_eq!(bench.run("cat d.img TREE/Hello.TXT --password-file password").text(), "hello");
    bench.run("cp d.img tree copied --password-file password").text();
    assert!(same(&bench.path("tree"), &bench.path("copied")));

    std::fs::create_dir(bench.path("into")).unwrap();
    let report = bench.run("cp d.img tree/hello.txt tree/deep into --json --password-file password").json();
    assert_eq!((report["files"].as_u64(), report["bytes"].as_u64()), (Some(3), Some(300_005)));
    assert!(same(&bench.path("tree/deep"), &bench.path("into/deep")));
    let name = "tree/deep/A long name, with umlauts \u{e4}\u{f6}\u{fc}.bin";
    let content = bench.run_with("cat d.img --password-file password", &[OsStr::new(name)]);
    assert_eq!((content.status, content.stdout), (0, pattern(300_000)));
}

#[test]
fn copies_overwrite_nothing_and_keep_dates() {
    let bench = Bench::with_drive();
    bench.file("mine.txt", b"keep");
    assert!(
        bench.run("cp d.img tree/hello.txt mine.txt --password-file password").refused(1).contains("never overwritten")
    );
    assert_eq!(std::fs::read(bench.path("mine.txt")).unwrap(), b"keep");
    bench.run("cp d.img tree/hello.txt new.txt --password-file password").text();
    let listed = bench.run("ls d.img tree/hello.txt --json --password-file password").json();
    let seconds = |name: &str| bench.path(name).metadata().unwrap().modified().unwrap();
    let copied = seconds("new.txt").duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let date =
        Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d"]).arg(format!("@{copied}")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&date.stdout).trim(), listed["entries"][0]["modified"].as_str().unwrap());
}

#[test]
fn what_is_not_there_is_said() {
    let bench = Bench::with_drive();
    assert!(bench.run("cat d.img nothing --password-file password").refused(1).contains("does not exist"));
    assert!(bench.run("cat d.img tree --password-file password").refused(1).contains("not a regular file"));
    assert!(bench.run("ls d.img tree/hello.txt/x --password-file password").refused(1).contains("not a directory"));
    assert!(bench.run("cp d.img tree/../.. out --password-file password").refused(1).contains("not allowed"));
    assert!(
        bench
            .run("cp d.img tree/hello.txt tree/deep nowhere --password-file password")
            .refused(2)
            .contains("not a folder")
    );
    assert!(!bench.path("out").exists() && !bench.path("nowhere").exists());
}

#[test]
fn decrypted_output_is_the_same_by_every_way() {
    let bench = Bench::with_drive();
    bench.run("decrypt d.img --output whole --password-file password").text();
    bench.run("decrypt d.img --output holes --sparse --password-file password").text();
    let whole = std::fs::read(bench.path("whole")).unwrap();
    assert!(std::fs::read(bench.path("holes")).unwrap() == whole);
    assert!(bench.run("decrypt d.img --output - --password-file password").stdout == whole);
    assert!(
        bench.run("decrypt d.img --output whole --password-file password").refused(2).contains("choose another name")
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let bench = Bench::with_drive();
    for words in ["decrypt d.img --output -", "cat d.img tree/deep/empty", "ls d.img -r"] {
        let mut command = keyhaven();
        command.current_dir(bench.folder.path()).args(words.split(' ')).args(["--password-file", "password"]);
        let mut child =
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{words}: {output:?}");
    }
}

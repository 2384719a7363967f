//! Drives made by Windows. Keys, ciphers and hashes are the engine's tests; here is what a person gets to see.

use std::path::Path;

use crate::harness::{Bench, Ran, keyhaven};

fn run(corpus: &Path, words: &[&str]) -> Ran {
    Ran::new(keyhaven().current_dir(corpus).args(words).output().unwrap())
}

#[test]
fn a_startup_key_opens_its_drive_and_no_other() {
    let Some(corpus) = testkit::corpus() else { return };
    let bek = "4381F759-C4F8-4DE0-BB61-FC33A831BDA5.BEK";
    let verified =
        run(&corpus, &["verify", "bitlk-aes-xts-128-startup-key.img", "--startup-key", bek, "--json"]).json();
    assert_eq!(verified["kind"], "external key");
    let other = run(&corpus, &["verify", "bitlk-aes-xts-128.img", "--startup-key", bek]);
    assert!(other.refused(1).contains("belongs to another drive"), "{}", other.stderr);
}

#[test]
fn a_suspended_drive_opens_without_a_key_and_says_so() {
    let Some(corpus) = testkit::corpus() else { return };
    let verified = run(&corpus, &["verify", "bitlk-aes-xts-128-clearkey-only.img"]);
    assert_eq!(verified.status, 0);
    assert!(verified.stderr.contains("anyone can open it"), "{}", verified.stderr);
}

#[test]
fn protectors_that_cannot_be_used_are_listed_as_such() {
    let Some(corpus) = testkit::corpus() else { return };
    let info = run(&corpus, &["info", "bitlk-aes-xts-128-smart-card.img", "--json"]).json();
    let protectors = info["protectors"].as_array().unwrap();
    assert!(protectors.iter().any(|protector| protector["supported"] == false), "{info}");
    assert!(protectors.iter().all(|protector| protector["modified"].as_str().is_some_and(|at| at.starts_with("20"))));
    assert!(run(&corpus, &["info", "bitlk-aes-xts-128-smart-card.img"]).text().contains("not supported here"));
}

#[test]
fn drives_that_cannot_be_read_yet_are_shown_and_refused() {
    let Some(corpus) = testkit::corpus() else { return };
    let bench = Bench::new();
    let key = bench.file("key", b"042647-302313-590458-071500-554323-116567-412181-516978");
    assert!(run(&corpus, &["info", "win-vista.img"]).refused(1).contains("Windows Vista"));
    for image in ["bitlk-aes-xts-128-eow.img", "bitlk-partially-encrypted-aes-cbc-128.img"] {
        assert!(run(&corpus, &["info", image]).text().contains("Key protectors"));
        let ran = run(&corpus, &["decrypt", image, "--output", "-", "--recovery-password-file", key.to_str().unwrap()]);
        assert!(ran.stdout.is_empty());
        ran.refused(1);
    }
}

/// Their file systems were overwritten by who published them: noise behind a sound boot sector.
#[test]
fn a_file_system_of_noise_ends_quickly_with_what_could_be_listed() {
    let Some(corpus) = testkit::corpus() else { return };
    for (image, hint) in [("bitlk-togo-aes-xts-128", "named above"), ("bitlk-aes-xts-128", "keyhaven decrypt")] {
        let password = Bench::new();
        let file = password.file("anaconda", b"anaconda");
        let image = format!("{image}.img");
        let ran = run(&corpus, &["ls", &image, "-r", "--password-file", file.to_str().unwrap()]);
        assert!(ran.refused(1).contains(hint), "{}", ran.stderr);
        assert!(
            ran.stdout.iter().all(|byte| *byte == b'\n' || *byte >= b' '),
            "no control characters reach the terminal"
        );
    }
}

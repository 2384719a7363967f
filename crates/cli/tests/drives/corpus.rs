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

/// Conversions whose maps were emptied: everything that is known is shown, the data is refused.
#[test]
fn drives_whose_conversion_map_is_gone_are_shown_and_refused() {
    let Some(corpus) = testkit::corpus() else { return };
    let bench = Bench::new();
    let password = bench.file("anaconda", b"anaconda");
    let password = password.to_str().unwrap();
    for image in ["bitlk-aes-xts-128-eow.img", "bitlk-partially-encrypted-aes-cbc-128.img"] {
        let shown = run(&corpus, &["info", image]).text();
        assert!(shown.contains("Key protectors") && shown.contains("encrypt-on-write conversion under way"), "{shown}");
        assert!(run(&corpus, &["verify", image, "--password-file", password]).text().contains("opens"));
        let ran = run(&corpus, &["decrypt", image, "--output", "-", "--password-file", password]);
        assert!(ran.stdout.is_empty());
        assert!(ran.refused(1).contains("both copies of its descriptor"), "{}", ran.stderr);
    }
}

#[test]
fn the_vista_drive_is_shown_and_read_as_far_as_it_goes() {
    let Some(corpus) = testkit::corpus() else { return };
    let bench = Bench::new();
    let key = bench.file("key", b"517506-503998-044583-576191-587004-635965-501270-087802");
    let key = key.to_str().unwrap();
    let shown = run(&corpus, &["info", "win-vista.img"]).text();
    for expected in ["Windows Vista", "aes-cbc-128 with diffuser", "incomplete", "unlocks other drives by itself"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let short = run(&corpus, &["decrypt", "win-vista.img", "--output", "-", "--recovery-password-file", key]);
    assert!(short.refused(1).contains("--allow-short"), "{}", short.stderr);
    let arguments = ["decrypt", "win-vista.img", "--allow-short", "--output", "-", "--recovery-password-file", key];
    let ran = run(&corpus, &arguments);
    assert_eq!((ran.status, &ran.stdout[3..11]), (0, b"NTFS    ".as_slice()), "{}", ran.stderr);
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

//! Hostile inputs: an answer in the end, no panic, no digit of a key in a title or an error.

#![allow(clippy::unwrap_used, reason = "tests")]

use key_import::{Format, Options, read};
use proptest::prelude::*;
use secret::RecoveryPassword;

const KEY: &str = "235818-357951-253979-013365-241120-245575-342914-591910";
const GUID: &str = "5F2B0A11-0000-4000-8000-00000000A001";

/// Pieces that parsers look for.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        any::<[u8; 16]>().prop_map(|key| RecoveryPassword::from_key(&key).to_text().expose().to_owned()),
        "[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}",
        "[0-9A-Fa-f]{8}",
        "([0-9]{6}[- ]){7,9}",
        "[0-9]{42,54}",
        prop::sample::select(vec![
            "\n",
            "\r\n",
            "\n ",
            "\t",
            ",",
            ";",
            "\"",
            "{",
            "}",
            "[",
            "]",
            ":",
            "::",
            ": [",
            "dn: CN=a,CN=b",
            "msFVE-RecoveryPassword:: ",
            "msFVE-RecoveryGuid:: AAAA",
            "\"RecoveryPassword\":\"",
            "\"key\":",
            "sep=;\n",
            "#TYPE x\n",
            "Key ID",
            "computer,key,id\n",
            "\u{FEFF}",
            "é回",
            "\\",
            "\0",
            "--",
        ])
        .prop_map(str::to_owned),
    ]
}

fn reads_every_way(bytes: &[u8]) {
    for format in Format::ALL.into_iter().map(Some).chain([None]) {
        let options = Options { format, ..Options::default() };
        match read(bytes, &options) {
            Ok(import) => {
                for row in &import.rows {
                    let titles = [&row.computer, &row.drive, &row.label, &row.method];
                    let created = row.created.iter();
                    for title in titles.into_iter().chain(created) {
                        assert!(title.chars().count() <= 200 && RecoveryPassword::parse(title).is_err());
                        assert!(!title.contains('\n'));
                    }
                    if let Err(refusal) = &row.key {
                        assert!(!refusal.to_string().is_empty());
                    }
                    assert!(!row.place.to_string().is_empty());
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pieces_in_any_order(pieces in prop::collection::vec(piece(), 0..40)) {
        reads_every_way(pieces.concat().as_bytes());
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        reads_every_way(&bytes);
    }
}

#[test]
fn damaged_exports_are_read_to_their_end() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/imports");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        files += 1;
        for cut in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
            reads_every_way(&bytes[..cut]);
            let mut changed = bytes.clone();
            changed[cut] ^= 0x55;
            reads_every_way(&changed);
        }
    }
    assert!(files > 10);
}

#[test]
fn large_inputs_do_not_take_long() {
    let begun = std::time::Instant::now();
    let many = 1 << 18;
    for text in [
        "1-".repeat(many),
        "123456-".repeat(many / 4),
        "123456 ".repeat(many / 4),
        "0".repeat(many),
        "{".repeat(many),
        "[".repeat(many),
        "\"".repeat(many),
        "a,\n".repeat(many / 2),
        ",".repeat(many),
        "dn:\n ".repeat(many / 2),
        "12345678\n".repeat(many / 8),
        "C: [x]\n".repeat(many / 8),
        // Many keys and identifiers in one long line, and long lines above many keys.
        format!("A {GUID} {KEY} ").repeat(many / 128),
        format!("PC\tA1B2C3D4\t{KEY}\t").repeat(many / 128),
        format!(
            "{}{}",
            format!("{}\n", "x: ".repeat(many / 128)).repeat(200),
            format!("{GUID} {KEY} ").repeat(many / 128)
        ),
    ] {
        reads_every_way(text.as_bytes());
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
}

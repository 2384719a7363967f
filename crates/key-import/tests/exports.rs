//! Every kind of export, as tools and services write it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use key_import::{Column, Columns, Error, Format, Import, Key, Options, Place, Refusal, Row, VolumeType, read};
use secret::RecoveryPasswordError;

/// Identifier and key by number.
fn expected() -> BTreeMap<u64, (String, String)> {
    let all: Vec<serde_json::Value> = serde_json::from_slice(&fixture("expected.json")).unwrap();
    let text = |entry: &serde_json::Value, name: &str| entry[name].as_str().unwrap().to_owned();
    all.iter().map(|entry| (entry["n"].as_u64().unwrap(), (text(entry, "id"), text(entry, "key")))).collect()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/imports").join(name)).unwrap()
}

fn import(name: &str, options: &Options) -> Import {
    read(&fixture(name), options).unwrap()
}

/// Reads a file that is recognised as `format` and holds exactly the keys with these numbers.
fn check(name: &str, format: Format, numbers: &[u64]) -> Vec<Row> {
    let import = import(name, &Options::default());
    assert_eq!(import.format, format, "{name}");
    are(&import.rows, numbers, name);
    import.rows
}

fn are(rows: &[Row], numbers: &[u64], name: &str) {
    let expected = expected();
    let found: Vec<&Row> = rows.iter().filter(|row| row.key.is_ok()).collect();
    assert_eq!(found.len(), numbers.len(), "{name}");
    for (row, number) in found.iter().zip(numbers) {
        let (id, key) = &expected[number];
        let row_id = row.key_id.as_ref().unwrap_or_else(|| panic!("{name}: {number} has no identifier"));
        assert!(id.starts_with(row_id.text()), "{name}: {row_id} is not that of {number}");
        let Ok(Key::RecoveryPassword(password)) = &row.key else { panic!("{name}: no recovery password") };
        assert!(password.to_text().expose() == key, "{name}: {number} has another key");
    }
}

#[test]
fn saved_files_of_any_language() {
    for (name, number) in [("de", 1), ("fr", 2), ("ja", 3)] {
        let rows = check(&format!("recovery-file-{name}.txt"), Format::RecoveryFile, &[number]);
        assert!(rows[0].key_id.as_ref().unwrap().is_whole());
    }
}

#[test]
fn output_of_tools_in_any_language() {
    let rows = check("manage-bde-en.txt", Format::ManageBde, &[4, 5]);
    let titles: Vec<_> = rows.iter().map(|row| (row.drive.as_str(), row.label.as_str())).collect();
    assert_eq!(titles, [("C:", "Windows"), ("D:", "Archive")]);
    assert_eq!(rows[0].place, Place::Line(16));
    let rows = check("manage-bde-de.txt", Format::ManageBde, &[6]);
    assert_eq!(rows[0].label, "");
    check("get-bitlockervolume-list.txt", Format::ManageBde, &[7]);
}

#[test]
fn json_of_volumes() {
    let rows = check("get-bitlockervolume.json", Format::VolumeJson, &[8, 9]);
    assert_eq!((rows[0].computer.as_str(), rows[0].drive.as_str()), ("PC-104", "C:"));
    assert_eq!((rows[0].volume_type, rows[1].volume_type), (VolumeType::Os, VolumeType::Unknown));
    assert_eq!(rows[1].drive, "D:");
}

#[test]
fn json_of_graph() {
    let rows = check("graph.json", Format::GraphJson, &[10, 11]);
    assert_eq!((rows[0].volume_type, rows[1].volume_type), (VolumeType::Os, VolumeType::Removable));
    assert_eq!(rows[0].created.as_deref(), Some("2026-02-11T08:31:07.1234567Z"));
    assert_eq!(rows[2].key.as_ref().err(), Some(&Refusal::NoKey));
    // Bare objects and arrays are fine; a page that is not the last one says so.
    let text = String::from_utf8(fixture("graph.json")).unwrap();
    let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (document, numbers) in [(&whole["value"], [10, 11].as_slice()), (&whole["value"][0], &[10])] {
        let import = read(document.to_string().as_bytes(), &Options::default()).unwrap();
        assert_eq!(import.format, Format::GraphJson);
        are(&import.rows, numbers, "graph");
    }
    let paged = text.replacen("\"value\"", "\"@odata.nextLink\": \"https://example.org\", \"value\"", 1);
    let import = read(paged.as_bytes(), &Options::default()).unwrap();
    assert_eq!(import.rows.last().unwrap().key.as_ref().err(), Some(&Refusal::MorePages));
}

#[test]
fn directory_entries() {
    let rows = check("directory.ldif", Format::Ldif, &[13, 14]);
    let computers: Vec<&str> = rows.iter().map(|row| row.computer.as_str()).collect();
    assert_eq!(computers, ["PC-105", "PC-106", "PC-107"]);
    assert_eq!(rows[0].created.as_deref(), Some("2026-01-31T10:22:33-00:00"));
    let refusal = Refusal::Password(RecoveryPasswordError::CheckDigit { group: 2 });
    assert_eq!(rows[2].key.as_ref().err(), Some(&refusal));
    assert_eq!((rows[2].place, rows[2].key_id.as_ref().unwrap().start()), (Place::Entry(3), "3237E7F6"));
}

#[test]
fn tables() {
    let rows = check("devices.csv", Format::Csv, &[16, 17]);
    assert_eq!((rows[1].computer.as_str(), rows[1].drive.as_str()), ("PC-109, second floor", "D:"));
    let refusals: Vec<_> = rows.iter().filter_map(|row| Some((row.place, row.key.as_ref().err()?))).collect();
    let short = Refusal::Password(RecoveryPasswordError::GroupLength { group: 8, found: 5 });
    assert_eq!(refusals, [(Place::Line(4), &short), (Place::Line(5), &Refusal::NoKey)]);
    let rows = check("inventar.csv", Format::Csv, &[20, 21]);
    assert_eq!(rows[1].key_id.as_ref().unwrap().text(), "F9557FCB");
    assert_eq!((rows[0].computer.as_str(), rows[0].created.as_deref()), ("PC-112", Some("01.07.2026")));
}

#[test]
fn a_table_with_a_header_of_its_own_is_mapped() {
    let mut columns = Columns::default();
    for (column, name) in [(Column::Key, "secret"), (Column::Id, "PROT"), (Column::Computer, "asset")] {
        columns.set(column, name);
    }
    let options = Options { columns: columns.clone(), ..Options::default() };
    let import = import("own-columns.csv", &options);
    assert_eq!(import.format, Format::Csv);
    are(&import.rows, &[22], "own columns");
    assert_eq!(import.rows[0].computer, "PC-114");
    columns.set(Column::Label, "colour");
    let options = Options { columns, ..Options::default() };
    let error = read(&fixture("own-columns.csv"), &options).err();
    assert_eq!(error, Some(Error::NoColumn { name: "colour".to_owned() }));
}

#[test]
fn a_table_without_a_header_is_read_by_its_content() {
    let (id, key) = &expected()[&16];
    for line in [format!("PC-1;{{{id}}};{key}\n"), format!("{key},{id}\r\n"), format!("\"{id}\",\"{key}\"")] {
        let import = read(line.as_bytes(), &Options::default()).unwrap();
        assert_eq!(import.format, Format::Csv, "{line}");
        are(&import.rows, &[16], &line);
    }
}

#[test]
fn pages_that_list_keys() {
    let rows = check("account-page.txt", Format::AccountPage, &[23, 24]);
    let titles = |row: &Row| (row.computer.clone(), row.volume_type, row.created.clone().unwrap());
    assert_eq!(titles(&rows[0]), ("DESKTOP-7Q2".to_owned(), VolumeType::Os, "5/14/2026, 9:41 AM".to_owned()));
    assert_eq!(titles(&rows[1]), ("LAPTOP-EAST".to_owned(), VolumeType::Fixed, "6/1/2026, 8:02 PM".to_owned()));
    let rows = check("account-page-lines.txt", Format::AccountPage, &[25, 26]);
    assert_eq!(titles(&rows[1]), ("LAPTOP-EAST".to_owned(), VolumeType::Removable, "01/06/2026 20:02".to_owned()));
}

#[test]
fn a_startup_key_file() {
    use fve_format::{ExternalKeyFile, Filetime, Guid};
    let id = Guid::from_bytes([7; 16]);
    let file = ExternalKeyFile::new(id, Filetime(0), Filetime(0), &[9; 32]).encode().unwrap();
    let import = read(&file, &Options::default()).unwrap();
    assert_eq!((import.format, import.rows.len()), (Format::StartupKey, 1));
    assert_eq!(import.rows[0].key_id.as_ref().unwrap().text(), id.to_string());
    assert!(matches!(&import.rows[0].key, Ok(Key::ExternalKey(key)) if key.expose() == &[9; 32]));
    let options = Options { format: Some(Format::StartupKey), ..Options::default() };
    assert!(matches!(read(b"no such file", &options), Err(Error::StartupKey(_))));
}

#[test]
fn the_name_of_a_file_tells_the_identifier_of_its_only_key() {
    let (id, key) = &expected()[&1];
    let options = Options { file_name: Some(format!("BitLocker Recovery Key {id}.TXT")), ..Options::default() };
    are(&read(key.as_bytes(), &options).unwrap().rows, &[1], "named");
    assert!(read(key.as_bytes(), &Options::default()).unwrap().rows[0].key_id.is_none());
}

#[test]
fn identifiers_never_go_to_another_key() {
    let expected = expected();
    let (first, second) = (&expected[&1], &expected[&2]);
    let rows = |text: &str| read(text.as_bytes(), &Options::default()).unwrap().rows;
    // The first key has none: the second's stays the second's.
    let read = rows(&format!("{}\n\n{{{}}}\n{}\n", first.1, second.0, second.1));
    assert!(read[0].key_id.is_none());
    assert_eq!(read[1].key_id.as_ref().unwrap().text(), second.0);
    // The other order throughout.
    let read = rows(&format!("{}\n{{{}}}\n\n{}\n{{{}}}\n", first.1, first.0, second.1, second.0));
    are(&read, &[1, 2], "key first");
    // One identifier above two keys is that of the first.
    let read = rows(&format!("{{{}}}\n{}\n{}\n", first.0, first.1, second.1));
    assert!(read[0].key_id.is_some() && read[1].key_id.is_none());
}

#[test]
fn what_holds_no_key_gives_no_rows() {
    for text in ["", "\u{FEFF}", "no keys here", "{}", "[]", "dn: CN=x\ncn: x\n", "a,b\n1,2\n", "{5F2B0A11"] {
        assert!(read(text.as_bytes(), &Options::default()).unwrap().rows.is_empty(), "{text}");
    }
    assert!(matches!(read(b"{\"key\":", &Options::default()), Err(Error::Json { line: 1, .. })));
    let long = vec![b'x'; key_import::MAX_BYTES + 1];
    assert!(matches!(read(&long, &Options::default()), Err(Error::TooLarge { .. })));
}

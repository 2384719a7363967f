//! The page, judged by poppler (`pdftotext`, `pdfinfo`, `pdftoppm`) and zbar (`zbarimg`).

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use recovery_sheet::{Date, Paper, Sheet, render};
use secret::RecoveryPassword;

const KEY: &str = "235818-357951-253979-013365-241120-245575-342914-591910";
const IDENTIFIER: &str = "5F2B0A11-8C3D-4E6F-9A70-1B2C3D4E5F60";

fn page(folder: &Path, change: impl FnOnce(&mut Sheet<'_>)) -> PathBuf {
    let password = RecoveryPassword::parse(KEY).unwrap();
    let mut sheet = Sheet {
        computer: "STUDY-PC",
        drive: "Backup stick (E:)",
        details: "64 GB, AES-XTS 128",
        identifier: IDENTIFIER,
        password: &password,
        date: Date { year: 2026, month: 11, day: 25 },
        paper: Paper::A4,
        key_as_code: false,
    };
    change(&mut sheet);
    let path = folder.join("page.pdf");
    std::fs::write(&path, &*render(&sheet).unwrap()).unwrap();
    path
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    if !testkit::programs(&[program]) {
        return None;
    }
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success() || program == "zbarimg", "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// What the QR codes of the page say, seen as a picture.
fn codes(page: &Path) -> Option<Vec<String>> {
    let picture = page.with_extension("");
    let picture = picture.to_str().unwrap();
    output("pdftoppm", &["-r", "150", "-png", "-singlefile", page.to_str().unwrap(), picture])?;
    let found = output("zbarimg", &["--quiet", "--raw", &format!("{picture}.png")])?;
    Some(found.lines().map(str::to_owned).collect())
}

#[test]
fn one_page_tells_all_that_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path(), |_| {});
    let Some(text) = output("pdftotext", &["-layout", page.to_str().unwrap(), "-"]) else { return };
    for part in KEY.split('-').chain(["STUDY-PC", "Backup stick (E:)", "64 GB, AES-XTS 128", IDENTIFIER, "2026-11-25"])
    {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let Some(about) = output("pdfinfo", &[page.to_str().unwrap()]) else { return };
    assert!(about.contains("Pages:           1\n"), "{about}");
    assert!(about.contains("(A4)"), "{about}");
    assert!(!about.contains("5F2B0A11"), "the identifier is in the title: {about}");
}

#[test]
fn the_key_is_a_code_only_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let Some(found) = codes(&page(folder.path(), |_| {})) else { return };
    assert_eq!(found, [IDENTIFIER]);
    let Some(mut found) = codes(&page(folder.path(), |sheet| sheet.key_as_code = true)) else { return };
    found.sort();
    assert_eq!(found, [KEY, IDENTIFIER]);
}

#[test]
fn letter_paper_and_names_of_any_kind() {
    let folder = tempfile::tempdir().unwrap();
    let long = Box::leak("Sehr langer Name ".repeat(50).into_boxed_str());
    let page = page(folder.path(), |sheet| {
        sheet.paper = Paper::Letter;
        sheet.computer = "";
        sheet.drive = long;
        sheet.details = "Диск \u{202e}\u{4e2d}\n\t";
    });
    let Some(about) = output("pdfinfo", &[page.to_str().unwrap()]) else { return };
    assert!(about.contains("Pages:           1\n") && about.contains("(letter)"), "{about}");
    let Some(text) = output("pdftotext", &["-layout", page.to_str().unwrap(), "-"]) else { return };
    assert!(text.contains("Диск") && text.contains('…') && !text.contains("Computer"), "{text}");
}

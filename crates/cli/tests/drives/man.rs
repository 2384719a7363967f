//! Manual pages: what their readers say to them, and whether they tell what `--help` does.

use std::process::Command;

use crate::harness::{Bench, Ran, keyhaven};

/// The pages of all commands, by their names.
fn pages(bench: &Bench) -> Vec<String> {
    let report = bench.run("man --output pages/man1 --json").json();
    report["pages"].as_array().unwrap().iter().map(|page| page.as_str().unwrap().to_owned()).collect()
}

#[test]
fn readers_of_roff_find_no_fault() {
    if !testkit::programs(&["mandoc", "groff"]) {
        return;
    }
    let bench = Bench::new();
    let pages = pages(&bench);
    assert!(pages.len() > 35, "{pages:?}");
    for page in &pages {
        let path = bench.path("pages/man1").join(page);
        for arguments in [&["mandoc", "-T", "lint", "-W", "warning"][..], &["groff", "-man", "-ww", "-z", "-K", "utf8"]]
        {
            let output = Command::new(arguments[0]).args(&arguments[1..]).arg(&path).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success() && said.is_empty(), "{page}: {}", String::from_utf8_lossy(&said));
        }
    }
    // A second run replaces them; the day of a package can be fixed.
    let mut again = keyhaven();
    again.env("SOURCE_DATE_EPOCH", "1700000000").current_dir(bench.folder.path());
    Ran::new(again.args(["man", "--output", "pages/man1"]).output().unwrap()).text();
    let page = std::fs::read_to_string(bench.path("pages/man1/keyhaven-ls.1")).unwrap();
    assert!(page.contains(".TH KEYHAVEN-LS 1 \"2023-11-14\""), "{page}");
}

/// Words of a text, without what tells its layout.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn pages_tell_what_help_tells() {
    if !testkit::programs(&["mandoc"]) {
        return;
    }
    let bench = Bench::new();
    for page in pages(&bench) {
        let name = page.trim_end_matches(".1");
        // No name of a command but those of two words has a hyphen of its own.
        let path = commands()
            .into_iter()
            .find(|path| format!("keyhaven{}", path.iter().map(|word| format!("-{word}")).collect::<String>()) == name);
        let path = path.unwrap_or_else(|| panic!("no command has the page {page}"));
        let help = Ran::new(keyhaven().args(&path).arg("--help").output().unwrap()).text();
        let shown =
            Command::new("mandoc").args(["-T", "utf8", "-O", "width=9999"]).arg(bench.path("pages/man1").join(&page));
        let mut shown = shown_by(shown);
        let own = Ran::new(keyhaven().arg("man").args(&path).output().unwrap()).text();
        assert_eq!(own, std::fs::read_to_string(bench.path("pages/man1").join(&page)).unwrap(), "{page}");
        shown = words(&shown).join(" ");
        for option in help.lines().filter_map(|line| {
            line.trim_start()
                .strip_prefix("--")
                .or(line.trim_start().get(4..).filter(|_| line.trim_start().starts_with('-')))
        }) {
            let option = option.trim_start_matches('-').split([' ', ',']).next().unwrap();
            assert!(shown.contains(&format!("--{option}")), "{page}: {option}");
        }
        let behind = help.find("Example: ").map(|at| &help[at..]).unwrap_or_default();
        for paragraph in behind.split("\n\n") {
            let text =
                paragraph.strip_prefix("Example: ").or(paragraph.strip_prefix("Exit status: ")).unwrap_or(paragraph);
            let text = words(text).join(" ");
            assert!(shown.contains(&text), "{page} lacks {text:?}:\n{shown}");
        }
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS"] {
            assert!(shown.contains(section), "{page}: {section}");
        }
        assert!(behind.is_empty() || shown.contains("EXAMPLES keyhaven"), "{page}");
    }
}

fn shown_by(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success());
    // Letters printed twice are bold or underlined.
    let mut out = String::new();
    for letter in String::from_utf8(output.stdout).unwrap().chars() {
        if letter == '\u{8}' { drop(out.pop()) } else { out.push(letter) }
    }
    out
}

/// The words of every command, the program itself first.
fn commands() -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        let help = Ran::new(keyhaven().args(&path).arg("--help").output().unwrap()).text();
        found.extend(crate::help::commands(&help).into_iter().map(|command| [&path[..], &[command]].concat()));
    }
    found
}

#[test]
fn a_page_for_no_command_could_not_be_tried() {
    let bench = Bench::new();
    assert!(bench.run("man frobnicate").refused(2).contains("there is no command `keyhaven frobnicate`"));
    assert!(bench.run("man keys show").text().contains("EXAMPLES"));
    bench.file("file", b"");
    bench.run("man --output file").refused(2);
}

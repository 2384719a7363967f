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

#[test]
fn pages_tell_what_help_tells() {
    if !testkit::programs(&["mandoc"]) {
        return;
    }
    let bench = Bench::new();
    let pages = pages(&bench);
    let commands = commands();
    assert_eq!(pages.len(), commands.len());
    for path in commands {
        let page = format!("keyhaven{}.1", path.iter().map(|word| format!("-{word}")).collect::<String>());
        assert!(pages.contains(&page), "{page}");
        let file = bench.path("pages/man1").join(&page);
        let own = Ran::new(keyhaven().arg("man").args(&path).output().unwrap()).text();
        assert_eq!(own, std::fs::read_to_string(&file).unwrap(), "{page}");
        let output = Command::new("mandoc").args(["-T", "utf8", "-O", "width=900"]).arg(&file).output().unwrap();
        let shown = words(&plain(&String::from_utf8(output.stdout).unwrap()));

        let help = Ran::new(keyhaven().args(&path).arg("--help").output().unwrap()).text();
        for option in help.lines().filter_map(option) {
            assert!(shown.contains(&option), "{page}: {option}");
        }
        let behind = help.find("\nExample: ").map(|at| help[at..].trim()).unwrap_or_default();
        for paragraph in behind.split("\n\n") {
            let text =
                paragraph.strip_prefix("Example: ").or(paragraph.strip_prefix("Exit status: ")).unwrap_or(paragraph);
            let text = words(text);
            assert!(shown.contains(&text), "{page} lacks {text:?}:\n{shown}");
        }
        assert!(behind.is_empty() || shown.contains("EXAMPLES keyhaven"), "{page}");
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS"] {
            assert!(shown.contains(section), "{page}: {section}");
        }
    }
}

/// The long option that a line of a help text describes.
fn option(line: &str) -> Option<String> {
    let line = line.trim_start();
    let (short, long) = line.split_once("--")?;
    let is_entry = short.is_empty() || (short.len() == 4 && short.starts_with('-') && short.ends_with(", "));
    is_entry.then(|| format!("--{}", long.split([' ', '\n']).next().unwrap()))
}

/// Without the layout.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Without the marks for bold and underlined letters, which are printed over each other.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if letter == '\u{8}' {
            out.pop();
        } else {
            out.push(letter);
        }
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

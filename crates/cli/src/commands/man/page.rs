//! One manual page.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::times;

/// An apostrophe that no reader of roff turns into a quotation mark.
const APOSTROPHES: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";
const EXIT_STATUS: &str = "Exit status: ";
const EXAMPLE: &str = "Example: ";

/// Name of the page of a command, which was built: `keyhaven-keys-show`.
pub(super) fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

/// The commands below one, but for those that are hidden.
pub(super) fn below(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set())
}

/// The page of a command, which was built with the whole program; `above` is the page above it.
pub(super) fn of(command: &Command, above: Option<&String>) -> String {
    let name = name(command);
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    let mut own = Roff::new();
    // Writing to memory does not fail.
    let mut parts = || -> std::io::Result<()> {
        man.render_name_section(&mut page)?;
        synopsis(&mut own, command);
        own.to_writer(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        if below(command).next().is_some() {
            man.render_subcommands_section(&mut page)?;
        }
        let mut behind = Roff::new();
        behind_help(&mut behind, command);
        see_also(&mut behind, command, above);
        behind.to_writer(&mut page)
    };
    let written = parts();
    debug_assert!(written.is_ok(), "memory takes everything");
    let version = command.get_version().unwrap_or(env!("CARGO_PKG_VERSION"));
    let title = format!(".TH {} 1 \"{}\" \"keyhaven {version}\" Keyhaven\n", name.to_uppercase(), date());
    format!("{APOSTROPHES}{title}{}", tidied(&String::from_utf8_lossy(&page)))
}

/// The line that `--help` shows.
fn synopsis(roff: &mut Roff, command: &Command) {
    roff.control("SH", ["SYNOPSIS"]);
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let words = command.get_bin_name().unwrap_or_else(|| command.get_name());
    for (index, line) in usage.lines().map(str::trim).enumerate() {
        if index > 0 {
            roff.control("br", []);
        }
        match line.strip_prefix(words) {
            Some(rest) => roff.text([bold(words), roman(rest)]),
            None => roff.text([roman(line)]),
        };
    }
}

/// What `--help` shows at its end: examples, exit status and the rest, each in its section.
fn behind_help(roff: &mut Roff, command: &Command) {
    let text = command.get_after_long_help().or_else(|| command.get_after_help());
    let text = text.map(ToString::to_string).unwrap_or_default();
    let paragraphs: Vec<&str> = text.split("\n\n").map(str::trim).filter(|text| !text.is_empty()).collect();
    let with = |mark| paragraphs.iter().filter_map(move |text| text.strip_prefix(mark));
    let notes = paragraphs.iter().filter(|text| !text.starts_with(EXAMPLE) && !text.starts_with(EXIT_STATUS));
    section(roff, "NOTES", notes.copied());
    let examples: Vec<&str> = with(EXAMPLE).collect();
    if !examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
        for (index, example) in examples.iter().enumerate() {
            if index > 0 {
                roff.control("PP", []);
            }
            roff.control("nf", []);
            roff.text([bold(*example)]);
            roff.control("fi", []);
        }
    }
    let status: Vec<&str> = with(EXIT_STATUS).collect();
    let usual = ["0 done, 1 a well-formed no (wrong key, not BitLocker, refused), 2 could not try."];
    section(roff, "EXIT STATUS", if status.is_empty() { usual.to_vec() } else { status }.into_iter());
}

fn section<'a>(roff: &mut Roff, title: &str, paragraphs: impl Iterator<Item = &'a str>) {
    let mut paragraphs = paragraphs.peekable();
    if paragraphs.peek().is_none() {
        return;
    }
    roff.control("SH", [title]);
    for (index, paragraph) in paragraphs.enumerate() {
        if index > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(paragraph)]);
    }
}

fn see_also(roff: &mut Roff, command: &Command, above: Option<&String>) {
    let mut pages: Vec<String> = above.into_iter().cloned().chain(below(command).map(name)).collect();
    pages.sort();
    let Some(last) = pages.pop() else { return };
    roff.control("SH", ["SEE ALSO"]);
    for page in &pages {
        roff.control("BR", [page.as_str(), "(1),"]);
    }
    roff.control("BR", [last.as_str(), "(1)"]);
}

/// The day the page is made, or the one that makers of packages set so that their results are the same every time.
fn date() -> String {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let date = fixed.map_or_else(SystemTime::now, |seconds| UNIX_EPOCH + Duration::from_secs(u32::into(seconds)));
    times::of(date).chars().take(10).collect()
}

/// Without blank lines, which belong to paragraphs in the texts but are a mistake in roff, without breaks behind breaks,
/// and without the definition of apostrophes, which each section begins with.
fn tidied(page: &str) -> String {
    let mut out = String::new();
    let mut last = "";
    for line in page.lines().filter(|line| !line.trim().is_empty() && !APOSTROPHES.contains(line)) {
        if !(line == ".br" && last == ".br") {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        last = line;
    }
    out
}

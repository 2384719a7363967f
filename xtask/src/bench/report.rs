//! The figures as they come, and as a page.

use std::fmt::Write;

use super::machine;

/// One figure, in words.
struct Line {
    what: String,
    seen: String,
    aim: String,
}

/// Figures in sections.
pub(super) struct Report {
    sections: Vec<(&'static str, Vec<Line>)>,
}

impl Report {
    pub(super) fn new() -> Self {
        Self { sections: Vec::new() }
    }

    /// Starts a section.
    pub(super) fn section(&mut self, title: &'static str) {
        println!("\n{title}");
        self.sections.push((title, Vec::new()));
    }

    /// Notes a figure; `aim` is what it is hoped to be, empty where nothing was agreed.
    pub(super) fn line(&mut self, what: impl Into<String>, seen: impl Into<String>, aim: impl Into<String>) {
        let line = Line { what: what.into(), seen: seen.into(), aim: aim.into() };
        let aim = if line.aim.is_empty() { String::new() } else { format!("   (aim: {})", line.aim) };
        println!("  {:<44} {}{aim}", line.what, line.seen);
        if let Some((_, lines)) = self.sections.last_mut() {
            lines.push(line);
        }
    }

    /// All of it as Markdown, with machine, date and versions.
    pub(super) fn page(&self) -> String {
        let mut page = String::from(
            "# Benchmarks\n\nWritten by `cargo xtask bench`. Medians of several runs; other programs were ",
        );
        page.push_str("measured in the same run, on the same files, in memory.\n\n");
        for (name, value) in machine::describe() {
            // Writing to a String cannot fail.
            let _ = writeln!(page, "- {name}: {value}");
        }
        for (title, lines) in &self.sections {
            let _ = write!(page, "\n## {title}\n\n| | seen | aim |\n|---|---|---|\n");
            for Line { what, seen, aim } in lines {
                let _ = writeln!(page, "| {what} | {seen} | {aim} |");
            }
        }
        page
    }
}

/// How often `theirs` holds `ours`, in words.
pub(super) fn times_faster(ours_ms: f64, theirs_ms: f64) -> String {
    format!("{:.1} times faster", theirs_ms / ours_ms)
}

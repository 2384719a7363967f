//! Progress of long work, on a terminal only.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `total_bytes`, with speed and time left; silent where standard error is not a terminal.
pub(crate) fn bytes(total_bytes: u64, what: &'static str) -> ProgressBar {
    bar(total_bytes, what, "{msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left")
}

/// A bar over a number of things.
pub(crate) fn count(total: u64, what: &'static str) -> ProgressBar {
    bar(total, what, "{msg} [{wide_bar}] {human_pos}/{human_len} {per_sec}, {eta} left")
}

fn bar(total: u64, what: &'static str, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if !stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        return bar;
    }
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(what);
    bar
}

/// As [`bytes`], where nobody knows how much there is.
pub(crate) fn counted(what: &'static str) -> ProgressBar {
    let bar = bytes(0, what);
    bar.unset_length();
    if let Ok(style) = ProgressStyle::with_template("{msg} {bytes}, {bytes_per_sec}") {
        bar.set_style(style);
    }
    bar
}

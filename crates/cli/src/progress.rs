//! Progress of long work, on a terminal only.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `total_bytes`, with speed and time left; silent where standard error is not a terminal.
pub(crate) fn bytes(total_bytes: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(total_bytes);
    if !stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        return bar;
    }
    let style = ProgressStyle::with_template("{msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
    if let Ok(style) = style {
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

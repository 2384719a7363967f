//! Progress of long work, on a terminal only.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// A bar over many files, for several threads; cleared at its end.
pub(crate) struct FilesBar {
    bar: ProgressBar,
    what: &'static str,
    files: AtomicUsize,
    all_files: usize,
}

impl FilesBar {
    /// A bar over `all_files` of `total_bytes` together.
    pub(crate) fn new(total_bytes: u64, all_files: usize, what: &'static str) -> Self {
        Self { bar: bytes(total_bytes, what), what, files: AtomicUsize::new(0), all_files }
    }

    /// So many bytes more are done.
    pub(crate) fn bytes(&self, count: u64) {
        if !self.bar.is_hidden() {
            self.bar.inc(count);
        }
    }

    /// One file more is done, with this many bytes that were not counted yet.
    pub(crate) fn file(&self, bytes: u64) {
        let files = self.files.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{} {files} of {} files", self.what, self.all_files));
            self.bar.inc(bytes);
        }
    }
}

impl Drop for FilesBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

//! A recovery key as a page for printing: the paper.

use clap::ValueEnum;
use drive_ops::backup::Paper;

/// Paper sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum PaperSize {
    #[default]
    A4,
    Letter,
}

impl PaperSize {
    pub(crate) fn paper(self) -> Paper {
        match self {
            Self::A4 => Paper::A4,
            Self::Letter => Paper::Letter,
        }
    }
}

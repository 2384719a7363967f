//! A recovery key as a page for printing.

use std::path::Path;
use std::time::SystemTime;

use clap::ValueEnum;
use fve::{Filetime, Guid};
use recovery_sheet::{Date, Paper, Sheet};
use secret::RecoveryPassword;
use zeroize::Zeroizing;

use crate::commands::backup::About;
use crate::failure::{Failure, Outcome};
use crate::output;

/// Paper sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum PaperSize {
    #[default]
    A4,
    Letter,
}

/// What goes onto the page.
pub(crate) struct Page<'a> {
    pub(crate) drive: &'a Path,
    pub(crate) about: &'a About,
    pub(crate) identifier: Guid,
    pub(crate) password: &'a RecoveryPassword,
    pub(crate) paper: PaperSize,
    pub(crate) key_as_qr: bool,
}

impl Page<'_> {
    /// The PDF.
    pub(crate) fn render(&self) -> Outcome<Zeroizing<Vec<u8>>> {
        let name = self.drive.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let drive = match &self.about.description {
            Some(description) => format!("{name}, {description}"),
            None => name,
        };
        let (size, method) = (output::size(self.about.volume_bytes), self.about.method);
        let sheet = Sheet {
            computer: &crate::host::name(),
            drive: &drive,
            details: &format!("{size}, {method}"),
            identifier: &self.identifier.to_string(),
            password: self.password,
            date: today(),
            paper: match self.paper {
                PaperSize::A4 => Paper::A4,
                PaperSize::Letter => Paper::Letter,
            },
            key_as_code: self.key_as_qr,
        };
        recovery_sheet::render(&sheet)
            .map_err(|error| Failure::could_not("cannot make the page for printing").because(&error))
    }
}

fn today() -> Date {
    // `2026-11-25T...`
    let text = Filetime::from_system_time_ms(SystemTime::now()).to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<u16>().ok()).unwrap_or(1);
    let small = |number: u16| u8::try_from(number).unwrap_or(1);
    Date { year: part(0..4), month: small(part(5..7)), day: small(part(8..10)) }
}

//! A recovery key on one printed page: what somebody needs before a locked drive, years later, without a computer at hand.
//!
//! [`render`] gives a PDF of one page that fits A4 and Letter alike: which drive, the key identifier with its first eight
//! characters large (Windows shows them), the key in eight large groups, a QR code of the identifier and, only when asked
//! for, one of the key, how to use it, and the date.
//!
//! The PDF holds the key in clear: that is its purpose. The finished bytes are wiped when they are dropped; the copies
//! that the PDF library makes while it works are not.
//!
//! What is not done here: files, printers, asking people.

mod code;
mod page;
mod pen;

use secret::RecoveryPassword;
use zeroize::Zeroizing;

/// What stands on the page.
pub struct Sheet<'a> {
    /// Name of the computer, as people know it. Empty: not on the page.
    pub computer: &'a str,
    /// Name of the drive: device, image or label.
    pub drive: &'a str,
    /// Size and encryption method, or whatever helps to tell this drive from others. Empty: not on the page.
    pub details: &'a str,
    /// Key identifier: a GUID in its text form without braces, upper case.
    pub identifier: &'a str,
    /// The key.
    pub password: &'a RecoveryPassword,
    /// Date of printing.
    pub date: Date,
    /// Paper.
    pub paper: Paper,
    /// Whether a QR code of the key itself is on the page.
    pub key_as_code: bool,
}

/// A date of the calendar, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Year.
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day, 1 to 31.
    pub day: u8,
}

/// Paper sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paper {
    /// 210 × 297 mm.
    #[default]
    A4,
    /// 8.5 × 11 inches.
    Letter,
}

impl Paper {
    /// Width and height in points, 1/72 of an inch.
    #[must_use]
    pub fn points(self) -> (f32, f32) {
        match self {
            Self::A4 => (595.276, 841.89),
            Self::Letter => (612.0, 792.0),
        }
    }
}

/// Why no page was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that goes into a QR code does not fit one.
    #[error("the key identifier does not fit a QR code")]
    Code,
    /// The PDF library refused; its reason names no text of the page.
    #[error("the page could not be made")]
    Page,
}

/// The page as a PDF file.
///
/// # Errors
/// [`Error::Code`] for an identifier of thousands of characters; [`Error::Page`].
pub fn render(sheet: &Sheet<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
    page::render(sheet)
}

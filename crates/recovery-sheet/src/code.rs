//! QR codes, drawn as squares.

use qrcode::{Color, EcLevel, QrCode};

use crate::Error;
use crate::pen::Pen;

/// Draws a code of `text` into a square of `side` points at `(x, y)`, around which a seventh of it must stay empty for
/// readers. A quarter of it may be damaged.
pub(crate) fn draw(pen: &mut Pen<'_, '_>, text: &str, (x, y): (f32, f32), side: f32) -> Result<(), Error> {
    let code = QrCode::with_error_correction_level(text, EcLevel::Q).map_err(|_| Error::Code)?;
    let width = u16::try_from(code.width()).map_err(|_| Error::Code)?;
    let square = side / f32::from(width);
    let colors = code.to_colors();
    let dark = colors.iter().zip(0_u32..).filter(|(color, _)| **color == Color::Dark).filter_map(|(_, index)| {
        let (row, column) = (index / u32::from(width), index % u32::from(width));
        let place = |number: u32| u16::try_from(number).ok().map(|number| f32::from(number) * square);
        Some((x + place(column)?, y + place(row)?))
    });
    pen.grey(0);
    pen.squares(square, dark);
    Ok(())
}

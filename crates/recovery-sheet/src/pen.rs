//! Drawing text and boxes on a page, in points from its upper left corner.

use krilla::color::luma;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::num::NormalizedF32;
use krilla::paint::{Fill, FillRule};
use krilla::surface::Surface;
use krilla::text::{Font, TextDirection};

use crate::Error;

/// Width of every letter of the monospaced fonts, in parts of the font size.
const MONO_ADVANCE: f32 = 0.602;

/// The four fonts of the page.
pub(crate) struct Fonts {
    pub(crate) sans: Font,
    pub(crate) sans_bold: Font,
    pub(crate) mono: Font,
    pub(crate) mono_bold: Font,
}

impl Fonts {
    pub(crate) fn load() -> Result<Self, Error> {
        let font = |bytes: &'static [u8]| Font::new(bytes.into(), 0).ok_or(Error::Page);
        Ok(Self {
            sans: font(include_bytes!("../fonts/sans.ttf"))?,
            sans_bold: font(include_bytes!("../fonts/sans-bold.ttf"))?,
            mono: font(include_bytes!("../fonts/mono.ttf"))?,
            mono_bold: font(include_bytes!("../fonts/mono-bold.ttf"))?,
        })
    }
}

/// A surface with a grey to draw with.
pub(crate) struct Pen<'a, 'b> {
    surface: &'a mut Surface<'b>,
}

impl<'a, 'b> Pen<'a, 'b> {
    pub(crate) fn new(surface: &'a mut Surface<'b>) -> Self {
        Self { surface }
    }

    /// 0 black, 255 white.
    pub(crate) fn grey(&mut self, lightness: u8) {
        let fill =
            Fill { paint: luma::Color::new(lightness).into(), opacity: NormalizedF32::ONE, rule: FillRule::NonZero };
        self.surface.set_fill(Some(fill));
    }

    /// One line whose letters stand on `(x, baseline)`.
    pub(crate) fn text(&mut self, (x, baseline): (f32, f32), font: &Font, size: f32, text: &str) {
        let at = Point::from_xy(x, baseline);
        self.surface.draw_text(at, font.clone(), size, text, false, TextDirection::LeftToRight);
    }

    pub(crate) fn rectangle(&mut self, x: f32, y: f32, width: f32, height: f32) {
        let Some(rectangle) = Rect::from_xywh(x, y, width, height) else { return };
        let mut path = PathBuilder::new();
        path.push_rect(rectangle);
        if let Some(path) = path.finish() {
            self.surface.draw_path(&path);
        }
    }

    /// Squares of one size, as one path: nothing shines through between them.
    pub(crate) fn squares(&mut self, side: f32, corners: impl Iterator<Item = (f32, f32)>) {
        let mut path = PathBuilder::new();
        for (x, y) in corners {
            if let Some(square) = Rect::from_xywh(x, y, side, side) {
                path.push_rect(square);
            }
        }
        if let Some(path) = path.finish() {
            self.surface.draw_path(&path);
        }
    }
}

/// What fits a width in a monospaced font: letters that the font has, no control characters, cut with `…` at the end.
pub(crate) fn fitting(text: &str, size: f32, width: f32) -> String {
    let room = (1..200_u8).take_while(|count| f32::from(*count) * MONO_ADVANCE * size <= width).count();
    let printable = |letter: char| match letter {
        ' '..='~' | '\u{A0}'..='\u{52F}' | '\u{2013}' | '\u{2014}' | '\u{2018}'..='\u{201E}' | '\u{2026}' => letter,
        _ => '\u{FFFD}',
    };
    let mut letters: Vec<char> = text.chars().map(printable).collect();
    if letters.len() > room {
        letters.truncate(room.saturating_sub(1));
        letters.push('…');
    }
    letters.into_iter().collect()
}

/// Width of a text in a monospaced font, in points.
pub(crate) fn mono_width(letters: u8, size: f32) -> f32 {
    f32::from(letters) * MONO_ADVANCE * size
}

#[cfg(test)]
mod tests {
    use super::fitting;

    #[test]
    fn names_of_any_kind_fit_the_line() {
        assert_eq!(fitting("Grüße", 10.0, 100.0), "Grüße");
        assert_eq!(fitting("a\u{202e}b\nc\u{4e2d}", 10.0, 100.0), "a\u{FFFD}b\u{FFFD}c\u{FFFD}");
        let cut = fitting(&"x".repeat(10_000), 10.0, 100.0);
        assert_eq!(cut.chars().count(), 16);
        assert!(cut.ends_with('…'));
    }
}

//! The page: what stands where.

use krilla::Document;
use krilla::metadata::{DateTime, Metadata};
use krilla::page::PageSettings;
use zeroize::Zeroizing;

use crate::pen::{Fonts, Pen, fitting, mono_width};
use crate::{Error, Sheet, code};

/// Left and right margin; what stands between them is as wide as A4 allows.
const LEFT: f32 = 54.0;
const WIDTH: f32 = 487.0;
const VALUE_LEFT: f32 = LEFT + 96.0;
const CODE_SIDE: f32 = 106.0;
const KEY_SIZE: f32 = 24.0;
const GROUPS_PER_ROW: usize = 4;

pub(crate) fn render(sheet: &Sheet<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let fonts = Fonts::load()?;
    let mut document = Document::new();
    document.set_metadata(metadata(sheet));
    let (width, height) = sheet.paper.points();
    let mut page = document.start_page_with(PageSettings::from_wh(width, height).ok_or(Error::Page)?);
    let mut surface = page.surface();
    let mut pen = Pen::new(&mut surface);
    head(&mut pen, &fonts, sheet);
    let below = drive(&mut pen, &fonts, sheet);
    let below = key(&mut pen, &fonts, sheet, below);
    let below = codes(&mut pen, &fonts, sheet, below)?;
    help(&mut pen, &fonts, sheet, below);
    surface.finish();
    page.finish();
    document.finish().map(Zeroizing::new).map_err(|_| Error::Page)
}

/// Names no key and no drive: titles end up in lists of files and print jobs.
fn metadata(sheet: &Sheet<'_>) -> Metadata {
    let date = DateTime::new(sheet.date.year).month(sheet.date.month).day(sheet.date.day);
    Metadata::new()
        .title("BitLocker recovery key".to_owned())
        .language("en".to_owned())
        .creator("Keyhaven".to_owned())
        .creation_date(date)
}

fn head(pen: &mut Pen<'_, '_>, fonts: &Fonts, sheet: &Sheet<'_>) {
    pen.grey(0);
    pen.text((LEFT, 74.0), &fonts.sans_bold, 24.0, "BitLocker recovery key");
    pen.grey(70);
    let crate::Date { year, month, day } = sheet.date;
    let line =
        format!("Printed by Keyhaven on {year:04}-{month:02}-{day:02}. Keep this page away from the drive it opens.");
    pen.text((LEFT, 94.0), &fonts.sans, 10.5, &line);
}

/// Which drive, and which key of it. Gives where the next part begins.
fn drive(pen: &mut Pen<'_, '_>, fonts: &Fonts, sheet: &Sheet<'_>) -> f32 {
    let mut baseline = 130.0;
    for (name, value) in [("Computer", sheet.computer), ("Drive", sheet.drive), ("", sheet.details)] {
        if value.is_empty() {
            continue;
        }
        pen.grey(70);
        pen.text((LEFT, baseline), &fonts.sans, 10.5, name);
        pen.grey(0);
        pen.text((VALUE_LEFT, baseline), &fonts.mono, 11.0, &fitting(value, 11.0, LEFT + WIDTH - VALUE_LEFT));
        baseline += 18.0;
    }
    baseline += 12.0;
    pen.grey(70);
    pen.text((LEFT, baseline), &fonts.sans, 10.5, "Key identifier");
    pen.grey(0);
    let start: String = sheet.identifier.chars().take(8).collect();
    pen.text((VALUE_LEFT, baseline), &fonts.mono_bold, 17.0, &fitting(&start, 17.0, WIDTH));
    pen.text(
        (VALUE_LEFT, baseline + 17.0),
        &fonts.mono,
        11.0,
        &fitting(sheet.identifier, 11.0, LEFT + WIDTH - VALUE_LEFT),
    );
    baseline + 38.0
}

/// The key, two rows of four groups with their numbers, on a light ground.
fn key(pen: &mut Pen<'_, '_>, fonts: &Fonts, sheet: &Sheet<'_>, top: f32) -> f32 {
    const ROW: f32 = 50.0;
    let height = 2.0 * ROW + 18.0;
    pen.grey(240);
    pen.rectangle(LEFT, top, WIDTH, height);
    let text = sheet.password.to_text();
    let group_width = mono_width(6, KEY_SIZE);
    let gap = (WIDTH - 4.0 * group_width) / 5.0;
    for (row, groups) in text.expose().split('-').collect::<Vec<_>>().chunks(GROUPS_PER_ROW).enumerate() {
        let mut x = LEFT + gap;
        let baseline = if row == 0 { top + ROW } else { top + 2.0 * ROW };
        for (index, group) in groups.iter().enumerate() {
            pen.grey(90);
            pen.text((x, baseline - 25.0), &fonts.sans, 8.0, &format!("{}", row * GROUPS_PER_ROW + index + 1));
            pen.grey(0);
            pen.text((x, baseline), &fonts.mono_bold, KEY_SIZE, group);
            x += group_width + gap;
        }
    }
    top + height + 28.0
}

fn codes(pen: &mut Pen<'_, '_>, fonts: &Fonts, sheet: &Sheet<'_>, top: f32) -> Result<f32, Error> {
    let caption = |pen: &mut Pen<'_, '_>, x: f32, lines: [&str; 2]| {
        pen.grey(70);
        pen.text((x, top + CODE_SIDE + 16.0), &fonts.sans, 9.0, lines[0]);
        pen.text((x, top + CODE_SIDE + 28.0), &fonts.sans, 9.0, lines[1]);
    };
    code::draw(pen, sheet.identifier, (LEFT, top), CODE_SIDE)?;
    caption(pen, LEFT, ["The identifier, to find this", "key again. Not the key."]);
    if sheet.key_as_code {
        let text = sheet.password.to_text();
        let x = LEFT + 256.0;
        code::draw(pen, text.expose(), (x, top), CODE_SIDE)?;
        caption(pen, x, ["The recovery key itself: whoever", "photographs it can open the drive."]);
    }
    Ok(top + CODE_SIDE + 64.0)
}

fn help(pen: &mut Pen<'_, '_>, fonts: &Fonts, sheet: &Sheet<'_>, top: f32) {
    let start: String = sheet.identifier.chars().take(8).collect();
    let start = fitting(&start, 10.5, WIDTH);
    pen.grey(0);
    pen.text((LEFT, top), &fonts.sans_bold, 13.0, "When the drive asks for this key");
    let steps = [
        vec![
            format!("Compare the identifier on the screen with this page: it must begin with {start}."),
            "If it is another one, this page belongs to another drive, or to an older key.".to_owned(),
        ],
        vec![
            "Type the 48 digits, group by group. The hyphens come by themselves. Where the".to_owned(),
            "number keys do not work, the keys F1 to F9 stand for 1 to 9, and F10 for 0.".to_owned(),
        ],
        vec!["On Linux or a Mac, this command asks for the same 48 digits and shows the files:".to_owned()],
    ];
    let mut baseline = top + 22.0;
    for (number, lines) in (1..).zip(steps) {
        pen.text((LEFT, baseline), &fonts.sans_bold, 10.5, &format!("{number}"));
        for line in lines {
            pen.text((LEFT + 18.0, baseline), &fonts.sans, 10.5, &line);
            baseline += 15.0;
        }
        baseline += 6.0;
    }
    pen.text((LEFT + 18.0, baseline - 2.0), &fonts.mono, 10.5, "keyhaven ls DRIVE");
    baseline += 19.0;
    pen.grey(70);
    let last = "When the drive gets a new key (keyhaven rotate), print again and destroy this page.";
    pen.text((LEFT, baseline + 6.0), &fonts.sans, 10.5, last);
}

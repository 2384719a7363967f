//! Sizes and names as people read them.

/// A size as people read it, with a tenth where it matters.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match UNITS.iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            let (whole, tenth) = (tenths / 10, tenths % 10);
            if tenth == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenth} {unit}") }
        }
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
    }
}

/// A name from a drive, safe for a screen: control characters and the marks that turn text around are escaped.
#[must_use]
pub fn shown(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_control() || turns(letter) {
            out.extend(letter.escape_unicode());
        } else {
            out.push(letter);
        }
    }
    out
}

/// Marks that turn text around.
#[must_use]
pub fn turns(letter: char) -> bool {
    matches!(letter, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size(1), "1 byte");
        assert_eq!(size(511), "511 bytes");
        assert_eq!(size(1024), "1 KiB");
        assert_eq!(size(65_994_752), "62.9 MiB");
        assert_eq!(size(4 << 40), "4 TiB");
    }

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(shown("Grüße.txt"), "Grüße.txt");
        assert_eq!(shown("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(shown("exe.\u{202e}txt"), "exe.\\u{202e}txt");
    }
}

//! Names of the drive as the target can have them.
//!
//! What a target cannot have is found out by asking it. A name is changed only where it must be: letters are written as
//! `%3A`, what is too long is cut and ends in a mark of the whole name, and a name that is taken gets a number. The same
//! drive gives the same names each time, so that a copy can go on later.

use std::collections::HashSet;
use std::fmt::Write;

/// What the names of unfinished files end in.
pub const PARTIAL: &str = ".keyhaven-partial";
/// Longest name of nearly all file systems, in bytes.
const LONGEST_BYTES: usize = 255;
/// Where even that is too long: encrypting file systems need a part of the name for themselves.
const SHORTEST_BYTES: usize = 140;
/// Below this, no target is asked whether a name is too long.
const SURELY_SHORT_BYTES: usize = 100;

/// What a target does with names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Only names that Windows can have.
    pub windows: bool,
    /// `A` and `a` are one name.
    pub folds_case: bool,
}

/// The names of one folder of the target.
pub struct Names {
    rules: Rules,
    taken: HashSet<String>,
}

impl Names {
    /// None so far.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, taken: HashSet::new() }
    }

    /// The name that `name` gets, another one for each call. `fits` asks the target whether it is too long.
    pub fn choose(&mut self, name: &str, fits: &dyn Fn(&str) -> bool) -> String {
        let plain = shortened(&escaped(name, self.rules.windows), fits);
        let mut chosen = plain.clone();
        let mut number = 2;
        while !self.take(&chosen) {
            chosen = shortened(&inserted(&plain, &format!("~{number}")), fits);
            number += 1;
        }
        chosen
    }

    /// Notes a name as taken; `false` where it was.
    pub fn take(&mut self, name: &str) -> bool {
        self.taken.insert(if self.rules.folds_case { name.to_lowercase() } else { name.to_owned() })
    }
}

/// Where a target refused a name although nothing seemed wrong with it: letters that every file system has, and short.
#[must_use]
pub fn plainest(name: &str) -> String {
    let name = escaped(name, true);
    let mut out = String::new();
    name.chars().for_each(|letter| if letter.is_ascii() { out.push(letter) } else { escape(letter, &mut out) });
    // With the mark it is nobody else's name.
    cut(&out, SHORTEST_BYTES, name.as_bytes())
}

/// The name of the unfinished file.
#[must_use]
pub fn partial(name: &str) -> String {
    if name.len() + PARTIAL.len() <= LONGEST_BYTES {
        return format!("{name}{PARTIAL}");
    }
    format!("{}{PARTIAL}", cut(name, LONGEST_BYTES - PARTIAL.len(), name.as_bytes()))
}

fn escaped(name: &str, windows: bool) -> String {
    let mut out = String::with_capacity(name.len());
    let reserved = windows && is_reserved(name);
    // A name that ends as an unfinished file does would be taken for one.
    let ends_partial = name.to_ascii_lowercase().ends_with(PARTIAL);
    let last = name.chars().count().saturating_sub(1);
    for (place, letter) in name.chars().enumerate() {
        let never = matches!(letter, '\0' | '/');
        let not_windows =
            windows && (letter < ' ' || "<>:\"|?*\\".contains(letter) || (place == last && ". ".contains(letter)));
        if never || not_windows || (reserved && place == 0) || (ends_partial && place == last) {
            escape(letter, &mut out);
        } else {
            out.push(letter);
        }
    }
    match &out[..] {
        "." => "%2E".to_owned(),
        ".." => ".%2E".to_owned(),
        _ => out,
    }
}

fn escape(letter: char, out: &mut String) {
    let mut bytes = [0; 4];
    for byte in letter.encode_utf8(&mut bytes).bytes() {
        // Writing to a String cannot fail.
        let _ = write!(out, "%{byte:02X}");
    }
}

/// Names that mean devices on Windows, with any ending.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_uppercase();
    let numbered = |kind: &str| {
        let digit = stem.strip_prefix(kind).map(|rest| rest.chars().collect::<Vec<_>>());
        digit.is_some_and(|rest| matches!(rest[..], ['0'..='9' | '\u{B9}' | '\u{B2}' | '\u{B3}']))
    };
    matches!(&stem[..], "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") || numbered("COM") || numbered("LPT")
}

fn shortened(name: &str, fits: &dyn Fn(&str) -> bool) -> String {
    if name.len() <= SURELY_SHORT_BYTES || fits(name) {
        return name.to_owned();
    }
    let longest = cut(name, LONGEST_BYTES, name.as_bytes());
    if fits(&longest) { longest } else { cut(name, SHORTEST_BYTES, name.as_bytes()) }
}

/// At most so many bytes: the start of the name, a mark of `whole`, the ending.
fn cut(name: &str, most: usize, whole: &[u8]) -> String {
    let mark = format!("~{:016x}", hash(whole));
    let (stem, ending) = split(name);
    let mut keep = most.saturating_sub(mark.len() + ending.len()).min(stem.len());
    while !stem.is_char_boundary(keep) {
        keep -= 1;
    }
    format!("{}{mark}{ending}", &stem[..keep])
}

/// Puts something before the ending.
fn inserted(name: &str, what: &str) -> String {
    let (stem, ending) = split(name);
    format!("{stem}{what}{ending}")
}

/// The name without its ending, and the ending, if it is a short one.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= 20 => name.split_at(dot),
        _ => (name, ""),
    }
}

/// FNV-1a: the same on every computer and in every version.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Rules = Rules { windows: true, folds_case: true };

    fn check(rules: Rules, names: &[(&str, &str)]) {
        let mut taken = Names::new(rules);
        for (name, expected) in names {
            assert_eq!(taken.choose(name, &|name| name.len() <= 255), *expected, "{name:?}");
        }
    }

    #[test]
    fn what_windows_cannot_have() {
        check(
            WINDOWS,
            &[
                ("a:b?.txt", "a%3Ab%3F.txt"),
                ("a%3Ab%3F.txt", "a%3Ab%3F~2.txt"),
                ("end.", "end%2E"),
                ("end ", "end%20"),
                ("con.txt", "%63on.txt"),
                ("COM\u{b9}", "%43OM\u{b9}"),
                ("console", "console"),
                ("Case.txt", "Case.txt"),
                ("cASE.txt", "cASE~2.txt"),
                ("\u{1}", "%01"),
            ],
        );
    }

    #[test]
    fn elsewhere_names_stay() {
        let names = ["a:b?.txt", "end.", "con", "Case", "case", "%41", "\u{4e2d}\u{1F600}"];
        check(Rules::default(), &names.map(|name| (name, name)));
        check(Rules::default(), &[("a/b", "a%2Fb"), ("..", ".%2E"), (".", "%2E"), ("\0", "%00")]);
        check(Rules::default(), &[("x.keyhaven-partial", "x.keyhaven-partia%6C")]);
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let fits = |name: &str| name.len() <= 255;
        let mut names = Names::new(Rules::default());
        let (one, two) = ("\u{4e2d}".repeat(200) + "1.docx", "\u{4e2d}".repeat(200) + "2.docx");
        let (one, two) = (names.choose(&one, &fits), names.choose(&two, &fits));
        assert!(one != two && one.len() <= 255 && one.len() > 240 && one.ends_with(".docx"), "{one}");
        let shorter = Names::new(Rules::default()).choose(&"x".repeat(200), &|name| name.len() <= 143);
        assert!(shorter.len() <= 143 && shorter.starts_with("xxx"), "{shorter}");
        for name in [&one, &two] {
            assert!(partial(name).len() <= 255 && partial(name).ends_with(PARTIAL));
        }
        assert_ne!(partial(&one), partial(&two));
        assert_eq!(partial("a.txt"), "a.txt.keyhaven-partial");
    }

    #[test]
    fn the_plainest_name_is_short_and_ascii() {
        let name = plainest(&("\u{e4}:".repeat(100) + ".txt"));
        assert!(name.is_ascii() && name.len() <= 140 && name.ends_with(".txt"), "{name}");
    }
}

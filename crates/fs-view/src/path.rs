//! Paths inside a volume.

use crate::Error;

/// How deep directories are followed, and how many components a path may have.
pub(crate) const MAX_DEPTH: usize = 64;

/// Cuts a path at `/` and `\`; empty components and `.` are dropped, `..` is refused.
pub(crate) fn components(path: &str) -> Result<Vec<&str>, Error> {
    let bad = |reason| Error::BadPath { path: path.to_owned(), reason };
    let parts: Vec<&str> = path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(bad("`..` is not followed"));
    }
    if parts.len() > MAX_DEPTH {
        return Err(bad("more than 64 directories deep"));
    }
    if path.contains('\0') {
        return Err(bad("it contains a NUL character"));
    }
    Ok(parts)
}

/// A name for comparing without regard to case. Letter by letter, as Windows does it: `ß` is not `SS`.
pub(crate) fn fold(name: &str) -> String {
    let upper = |letter: char| {
        let mut letters = letter.to_uppercase();
        match (letters.next(), letters.next()) {
            (Some(single), None) => single,
            _ => letter,
        }
    };
    name.chars().map(upper).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case() {
        assert_eq!(fold("straße ä"), "STRAßE Ä");
    }

    #[test]
    fn separators_and_dots() {
        assert_eq!(components("/a\\b//./c/").unwrap(), ["a", "b", "c"]);
        assert!(components("").unwrap().is_empty());
        assert!(matches!(components("a/../b"), Err(Error::BadPath { .. })));
        assert!(components(&"a/".repeat(65)).is_err());
    }
}

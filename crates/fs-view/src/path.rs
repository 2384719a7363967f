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

/// Cuts the name of an alternate stream off a path: `folder/file:stream`, or `:stream` of the root.
pub(crate) fn cut_stream(path: &str) -> Option<(&str, &str)> {
    let (file, stream) = path.strip_suffix(":$DATA").unwrap_or(path).rsplit_once(':')?;
    (!stream.contains(['/', '\\'])).then_some((file, stream))
}

/// A name for comparing without regard to case. Letter by letter, as Windows does it: `ß` is not `SS`.
#[must_use]
pub fn fold(name: &str) -> String {
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
    fn streams() {
        assert_eq!(cut_stream("a/b.txt:Zone.Identifier"), Some(("a/b.txt", "Zone.Identifier")));
        assert_eq!(cut_stream("a:b:$DATA"), Some(("a", "b")));
        assert_eq!(cut_stream("a:b/c"), None);
        assert_eq!(cut_stream("a::$DATA"), Some(("a", "")));
    }

    #[test]
    fn separators_and_dots() {
        assert_eq!(components("/a\\b//./c/").unwrap(), ["a", "b", "c"]);
        assert!(components("").unwrap().is_empty());
        assert!(matches!(components("a/../b"), Err(Error::BadPath { .. })));
        assert!(components(&"a/".repeat(65)).is_err());
    }
}

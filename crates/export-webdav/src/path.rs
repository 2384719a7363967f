//! From the path of a URL to a path of the tree, and back.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::limits;

/// All but what RFC 3986 calls unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path in the tree; `None` for one that no tree has. A slash at the end does not matter.
pub(crate) fn decode(url_path: &str) -> Option<String> {
    let rest = url_path.strip_prefix('/')?;
    let mut path = String::new();
    for part in rest.split('/').filter(|part| !part.is_empty()) {
        let name = percent_decode_str(part).decode_utf8().ok()?;
        // Encoded or not, these are no names: nothing leads above the root, or into another name.
        if !export::is_plain(&name) || path.len() + name.len() > limits::PATH_BYTES {
            return None;
        }
        path = export::child(&path, &name);
    }
    Some(path)
}

/// The path of a URL for a path of the tree.
pub(crate) fn encode(path: &str, directory: bool) -> String {
    let mut url = String::with_capacity(path.len() + 2);
    for name in path.split('/').filter(|name| !name.is_empty()) {
        url.push('/');
        url.extend(percent_encode(name.as_bytes(), ENCODED));
    }
    if directory {
        url.push('/');
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_back_and_tricks_do_not() {
        for (path, directory, url) in [
            ("", true, "/"),
            ("a/b c", false, "/a/b%20c"),
            ("100%/\u{e4}?#", true, "/100%25/%C3%A4%3F%23/"),
            ("%2F", false, "/%252F"),
        ] {
            assert_eq!(encode(path, directory), url);
            assert_eq!(decode(url).as_deref(), Some(path));
        }
        assert_eq!(decode("//a///b//").as_deref(), Some("a/b"));
        for bad in ["/..", "/a/%2e%2e/b", "/a%2Fb", "/%00", "/%FF", "*", "", "/./a"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(decode(&format!("/{}", "a".repeat(limits::PATH_BYTES + 1))), None);
    }
}

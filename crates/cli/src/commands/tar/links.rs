//! Which symbolic links an archive may hold: those that lead to something else in it.

/// The target of the link `name` as the archive stores it; `None` where it leads out of `roots`.
///
/// Unpacking follows links while it writes, so that a hostile drive could have files written anywhere. Folders above a
/// link are real ones, therefore `..` is safe at the start of a target; behind another name, which may itself be a link,
/// it is not.
pub(super) fn inside(name: &str, target: &str, roots: &[String]) -> Option<String> {
    let target = target.replace('\\', "/");
    if target.is_empty() || target.starts_with('/') || target.contains(':') || target.contains('\0') {
        return None;
    }
    let parts: Vec<&str> = target.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let up = parts.iter().take_while(|part| **part == "..").count();
    let (_, below) = parts.split_at(up);
    if below.contains(&"..") {
        return None;
    }
    let mut place: Vec<&str> = name.split('/').collect();
    // The link itself, then a folder for each `..`.
    let kept = place.len().checked_sub(1 + up)?;
    place.truncate(kept);
    place.extend(below);
    let place = place.join("/");
    let is_inside = |root: &String| {
        root.is_empty()
            || place.strip_prefix(root.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    roots.iter().any(is_inside).then(|| if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

#[cfg(test)]
mod tests {
    use super::inside;

    fn check(name: &str, target: &str, expected: Option<&str>) {
        let roots = ["a/b".to_owned(), "c".to_owned()];
        assert_eq!(inside(name, target, &roots).as_deref(), expected, "{name} -> {target}");
    }

    #[test]
    fn links_stay_inside() {
        check("a/b/link", "file", Some("file"));
        check("a/b/link", r"deep\.\file", Some("deep/file"));
        check("a/b/d/link", "../x", Some("../x"));
        check("a/b/d/link", "../../../c/x", Some("../../../c/x"));
        check("a/b/link", "..", None);
        check("a/b/link", "../bc", None);
        check("a/b/d/link", "../../../../a/b/x", None);
        check("a/b/d/link", "x/../y", None);
        check("a/b/link", "/a/b/x", None);
        check("a/b/link", r"\a\b\x", None);
        check("a/b/link", r"C:\Users", None);
        check("a/b/link", "C:x", None);
        check("a/b/link", "", None);
        check("c/link", ".", Some("."));
    }

    #[test]
    fn everything_is_inside_of_everything_but_what_lies_above() {
        let all = [String::new()];
        assert_eq!(inside("a/link", "../b", &all).as_deref(), Some("../b"));
        assert_eq!(inside("link", ".", &all).as_deref(), Some("."));
        assert_eq!(inside("a/link", "../../b", &all), None);
    }
}

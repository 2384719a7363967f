//! The XML of `PROPFIND`.

use std::fmt::Write;

use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;

use crate::limits;

pub(crate) const DAV: &str = "DAV:";

/// Which properties a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// All that are defined for everything.
    All,
    /// Their names alone.
    Names,
    /// These.
    Some(Vec<Name>),
}

/// Name space and name of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) space: String,
    pub(crate) name: String,
}

/// What the body of a request asks for; an empty one asks for everything. `None` when it is not what it should be.
pub(crate) fn parse(body: &[u8]) -> Option<Wish> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Some(Wish::All);
    }
    let mut reader = NsReader::from_reader(body);
    let mut depth = 0_usize;
    let mut wish = None;
    let mut wanted = Vec::new();
    loop {
        let (space, event) = reader.read_resolved_event().ok()?;
        let (element, opens) = match event {
            Event::Start(element) => (element, true),
            Event::Empty(element) => (element, false),
            Event::End(_) => {
                depth = depth.checked_sub(1)?;
                continue;
            }
            Event::Eof if depth == 0 => break,
            Event::Eof | Event::DocType(_) => return None,
            _ => continue,
        };
        let space = match space {
            ResolveResult::Bound(space) => space.into_inner().to_owned(),
            ResolveResult::Unbound => String::new(),
            ResolveResult::Unknown(_) => return None,
        };
        let name = element.local_name().into_inner().to_owned();
        match (depth, space.as_str(), name.as_str()) {
            (0, DAV, "propfind") => {}
            (0, ..) => return None,
            (1, DAV, "allprop") => wish = Some(Wish::All),
            (1, DAV, "propname") => wish = Some(Wish::Names),
            (1, DAV, "prop") => wish = Some(Wish::Some(Vec::new())),
            (2, ..) if wish == Some(Wish::Some(Vec::new())) => wanted.push(Name { space, name }),
            _ => {}
        }
        if wanted.len() > limits::PROPERTIES {
            return None;
        }
        depth += usize::from(opens);
        if depth > 16 {
            return None;
        }
    }
    match wish? {
        Wish::Some(_) => Some(Wish::Some(wanted)),
        other => Some(other),
    }
}

/// Text for content and attributes; what XML cannot hold at all becomes the mark for that.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "&#{};", u32::from(letter));
            }
            '\u{0}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> Option<Vec<(String, String)>> {
        match parse(body.as_bytes())? {
            Wish::Some(names) => Some(names.into_iter().map(|name| (name.space, name.name)).collect()),
            _ => Some(Vec::new()),
        }
    }

    #[test]
    fn wishes_of_real_clients() {
        assert_eq!(parse(b""), Some(Wish::All));
        assert_eq!(parse(b"<?xml version=\"1.0\"?><propfind xmlns=\"DAV:\"><allprop/></propfind>"), Some(Wish::All));
        assert_eq!(parse(b"<D:propfind xmlns:D='DAV:'><D:propname/></D:propfind>"), Some(Wish::Names));
        let body = "<a:propfind xmlns:a=\"DAV:\" xmlns:b=\"urn:x\"><a:prop><a:getetag/><b:thing>t</b:thing>\
                    <plain xmlns=\"\"/></a:prop></a:propfind>";
        let expected = [("DAV:", "getetag"), ("urn:x", "thing"), ("", "plain")];
        assert_eq!(names(body).unwrap(), expected.map(|(space, name)| (space.to_owned(), name.to_owned())));
    }

    #[test]
    fn what_is_no_propfind_is_refused() {
        let many = format!("<p:propfind xmlns:p=\"DAV:\"><p:prop>{}</p:prop></p:propfind>", "<p:x/>".repeat(65));
        let deep = format!("<p:propfind xmlns:p=\"DAV:\">{}", "<p:x>".repeat(40));
        for body in [
            "nonsense",
            "\u{1}",
            "<propfind/>",
            "<x xmlns=\"DAV:\"/>",
            "<D:propfind xmlns:D=\"DAV:\">",
            "<D:propfind xmlns:D=\"DAV:\"/>",
            "<D:propfind><D:allprop/></D:propfind>",
            "<!DOCTYPE p [<!ENTITY a \"aaaa\">]><p:propfind xmlns:p=\"DAV:\"><p:allprop/></p:propfind>",
            &many,
            &deep,
        ] {
            assert_eq!(parse(body.as_bytes()), None, "{body}");
        }
        assert_eq!(escape("a<b>&\"\u{1}\n"), "a&lt;b&gt;&amp;&quot;\u{FFFD}&#10;");
    }
}

//! What is embedded in this build.

#![allow(clippy::unwrap_used, reason = "tests")]

use http::HeaderMap;
use web_assets::{Asset, Page, answer, assets};

/// Texts that look like addresses and are none that a page would ask: names of XML vocabularies, and the example of an
/// address in a hint (a name that RFC 2606 keeps for examples).
const NO_REQUESTS: [&str; 2] = ["http://www.w3.org/", "https://keys.example.org"];

/// Whether there is something to test.
fn built() -> bool {
    let built = Page::Portal.is_built() && Page::Panel.is_built();
    if !built {
        testkit::skip("no pages in this build; `cargo xtask portal` makes them");
    }
    built
}

fn text(asset: &Asset) -> &'static str {
    std::str::from_utf8(asset.plain).unwrap()
}

fn of_kind(ending: &str) -> impl Iterator<Item = &'static Asset> {
    assets().iter().filter(move |asset| asset.path.ends_with(ending))
}

#[test]
fn both_pages_are_there_with_all_that_they_name() {
    if !built() {
        return;
    }
    for page in [Page::Portal, Page::Panel] {
        let body = String::from_utf8(answer(page, "", &HeaderMap::new()).unwrap().body().to_vec()).unwrap();
        let mut named = 0;
        for attribute in ["src=\"", "href=\""] {
            for (_, rest) in body.split(attribute).skip(1).map(|rest| ("", rest)) {
                let address = rest.split('"').next().unwrap();
                let path = address.strip_prefix("./").unwrap_or_else(|| panic!("{address} is not relative"));
                assert!(answer(page, path, &HeaderMap::new()).is_some(), "{address} is not there");
                named += 1;
            }
        }
        assert!(named >= 2, "a script and a style sheet: {body}");
    }
}

#[test]
fn no_page_has_code_or_style_inside() {
    for page in of_kind(".html") {
        let body = text(page).to_lowercase();
        for script in body.split("<script").skip(1) {
            let (tag, rest) = script.split_once('>').unwrap();
            assert!(tag.contains(" src=") && rest.trim_start().starts_with("</script"), "{}: {tag}", page.path);
        }
        assert!(!body.contains("<style") && !body.contains(" style="), "{}: style inside", page.path);
        let handler = body.split(" on").skip(1).find(|rest| {
            let name = rest.split('=').next().unwrap_or_default();
            rest.contains('=') && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase())
        });
        assert!(handler.is_none(), "{}: a handler inside: {handler:?}", page.path);
        assert!(!body.contains("=\"javascript:") && !body.contains("<base"), "{}", page.path);
    }
}

#[test]
fn no_file_names_another_origin() {
    for ending in [".html", ".js", ".css", ".svg", ".webmanifest", ".txt"] {
        for asset in of_kind(ending) {
            let body = text(asset);
            for scheme in ["http://", "https://", "ws://", "wss://"] {
                for (at, _) in body.match_indices(scheme) {
                    let address: String = body[at..].chars().take(80).collect();
                    let fine = NO_REQUESTS.iter().any(|known| address.starts_with(known));
                    // A scheme alone is what code compares with.
                    let alone = address[scheme.len()..].starts_with(['"', '\'', '`', '$', '/', '\\', ')', ' ']);
                    assert!(fine || alone, "{}: {address}", asset.path);
                }
            }
            for remote in ["url(//", "src=\"//", "href=\"//", "@import"] {
                assert!(!body.contains(remote), "{}: {remote}", asset.path);
            }
        }
    }
}

#[test]
fn what_is_worth_it_is_compressed_and_smaller() {
    if !built() {
        return;
    }
    let mut compressed = 0;
    for asset in assets() {
        let (Some(brotli), Some(gzip)) = (asset.brotli, asset.gzip) else {
            assert!(asset.plain.len() < 1024 || !is_text(asset), "{} is not compressed", asset.path);
            continue;
        };
        assert!(brotli.len() < asset.plain.len() && gzip.len() < asset.plain.len(), "{}", asset.path);
        // The last four bytes of gzip are the length of what it holds (RFC 1952).
        let length = u32::from_le_bytes(gzip[gzip.len() - 4..].try_into().unwrap());
        assert_eq!(
            usize::try_from(length).unwrap(),
            asset.plain.len(),
            "{} was compressed from another file",
            asset.path
        );
        compressed += 1;
    }
    assert!(compressed >= 3);
}

fn is_text(asset: &Asset) -> bool {
    !asset.media_type.starts_with("image/png") && !asset.media_type.starts_with("image/x-icon")
}

#[test]
fn only_pages_have_lasting_names() {
    for asset in assets() {
        assert_eq!(asset.immutable, asset.path.starts_with("assets/"), "{}", asset.path);
        assert_eq!(asset.immutable, !asset.path.ends_with(".html"), "{}", asset.path);
    }
}

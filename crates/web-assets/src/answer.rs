//! The answer to a request for a file.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::encoding::Encoding;
use crate::{Asset, Page, find};

/// What every answer tells the browser to refuse. The same on pages, scripts and the Worker's script, which has its policy from
/// its own answer.
///
/// `wasm-unsafe-eval` lets WebAssembly be compiled and no text be run. The opener and embedder policies isolate the page, without
/// which it could not share memory with its Worker. The one Trusted Types policy makes the Worker's address.
pub const POLICY: [(HeaderName, HeaderValue); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; \
             img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types vault",
        ),
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-embedder-policy"), HeaderValue::from_static("require-corp")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "publickey-credentials-create=(self), publickey-credentials-get=(self), clipboard-write=(self), \
             clipboard-read=(), camera=(), microphone=(), geolocation=(), display-capture=(), payment=(), usb=(), serial=(), \
             hid=(), midi=(), accelerometer=(), gyroscope=(), magnetometer=()",
        ),
    ),
];

/// Other contents get another name.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// May be kept, and is asked for each time whether it is still the same.
const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");

/// The answer to `GET` of `path`, which begins at the page's own address and has no leading slash: empty for the page itself.
/// `None`: there is no such file. The answer to `HEAD` is the same without its body.
#[must_use]
pub fn answer(page: Page, path: &str, headers: &HeaderMap) -> Option<Response<&'static [u8]>> {
    let asset = match path {
        "" => page.asset(),
        // A page has one address.
        path => find(path).filter(|asset| asset.path.contains('/'))?,
    };
    Some(of_asset(asset, headers))
}

fn of_asset(asset: &Asset, headers: &HeaderMap) -> Response<&'static [u8]> {
    let form = Encoding::choose(headers, asset);
    let tag = format!("\"{}{}\"", asset.tag, form.suffix());
    let known = is_known(headers, &tag);
    let mut response = Response::new(if known { b"".as_slice() } else { form.of(asset) });
    let length = response.body().len();
    let out = response.headers_mut();
    out.extend(POLICY.map(|(name, value)| (Some(name), value)));
    out.insert(header::CACHE_CONTROL, if asset.immutable { FOREVER } else { ASK_EACH_TIME });
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(header::ETAG, tag);
    }
    if asset.brotli.is_some() || asset.gzip.is_some() {
        out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    out.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(name) = form.name() {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    response
}

/// Whether the client has these bytes (RFC 9110, section 13.1.2: compared without the mark of weak tags).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|item| {
        let item = item.strip_prefix("W/").unwrap_or(item);
        item == "*" || item == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASHED: Asset = Asset {
        path: "assets/main-B2dK9_xy.js",
        media_type: "text/javascript; charset=utf-8",
        tag: "abc",
        immutable: true,
        plain: b"plain bytes",
        brotli: Some(b"br"),
        gzip: Some(b"gz."),
    };

    fn ask(asset: &Asset, lines: &[(HeaderName, &'static str)]) -> Response<&'static [u8]> {
        let lines = lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        of_asset(asset, &lines.collect())
    }

    fn header<'a>(response: &'a Response<&[u8]>, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn each_form_has_its_own_tag_and_length() {
        let check = |accepted, body: &[u8], encoding, tag| {
            let response = ask(&HASHED, &[(header::ACCEPT_ENCODING, accepted)]);
            assert_eq!(*response.body(), body);
            assert_eq!(header(&response, "content-encoding"), encoding);
            assert_eq!(header(&response, "etag"), Some(tag));
            assert_eq!(header(&response, "content-length"), Some(body.len().to_string().as_str()));
            assert_eq!(header(&response, "vary"), Some("accept-encoding"));
            assert_eq!(header(&response, "content-type"), Some("text/javascript; charset=utf-8"));
        };
        check("br, gzip", b"br", Some("br"), "\"abc-br\"");
        check("gzip", b"gz.", Some("gzip"), "\"abc-gz\"");
        check("", b"plain bytes", None, "\"abc\"");
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let check = |asked, status: u16| {
            let response = ask(&HASHED, &[(header::IF_NONE_MATCH, asked), (header::ACCEPT_ENCODING, "br")]);
            assert_eq!(response.status().as_u16(), status, "{asked}");
            assert_eq!(response.body().is_empty(), status == 304, "{asked}");
            assert_eq!(header(&response, "etag"), Some("\"abc-br\""));
            assert_eq!(header(&response, "cache-control"), Some("public, max-age=31536000, immutable"));
            assert_eq!(header(&response, "vary"), Some("accept-encoding"));
            assert!(header(&response, "content-security-policy").is_some());
        };
        for known in ["\"abc-br\"", "W/\"abc-br\"", "\"x\", \"abc-br\"", "*"] {
            check(known, 304);
        }
        for other in ["\"abc\"", "\"abc-gz\"", "abc-br", "", "\"abc-br"] {
            check(other, 200);
        }
    }

    #[test]
    fn only_what_changes_its_name_is_kept_without_asking() {
        let page = Asset { path: "portal.html", immutable: false, brotli: None, gzip: None, ..HASHED };
        let response = ask(&page, &[(header::ACCEPT_ENCODING, "br")]);
        assert_eq!(header(&response, "cache-control"), Some("no-cache"));
        assert_eq!(header(&response, "vary"), None);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let no_headers = HeaderMap::new();
        for path in [
            "portal.html",
            "panel.html",
            "assets",
            "assets/",
            "assets/nothing.js",
            "../Cargo.toml",
            "assets/../portal.html",
            "/",
            "/assets",
        ] {
            assert!(answer(Page::Portal, path, &no_headers).is_none(), "{path}");
        }
        for page in [Page::Portal, Page::Panel] {
            assert_eq!(answer(page, "", &no_headers).unwrap().status(), StatusCode::OK);
        }
    }
}

//! The portal's page and files as they are served, whether or not this build has the real ones.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use vault_client::Method::Get;
use vault_protocol::routes;
use vault_server::Limits;
use web_assets::Page;

use crate::frame::{exchange, header};
use crate::harness::Service;

/// What the browser is told with every file, word for word.
const POLICY: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types vault",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    (
        "permissions-policy",
        "publickey-credentials-create=(self), publickey-credentials-get=(self), clipboard-write=(self), clipboard-read=(), \
         camera=(), microphone=(), geolocation=(), display-capture=(), payment=(), usb=(), serial=(), hid=(), midi=(), \
         accelerometer=(), gyroscope=(), magnetometer=()",
    ),
];
/// The only headers besides those.
const OTHERS: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cache-control",
    "date",
    "etag",
    "vary",
    "x-request-id",
];

/// Where the page is: at the service's own address, and at those that a waiting computer names.
const PAGES: [&str; 3] = ["/", "/device", "/enrol"];

/// Every file that is served, and where.
fn files() -> Vec<String> {
    let below = web_assets::assets().iter().filter(|asset| asset.path.starts_with("assets/"));
    PAGES.map(str::to_owned).into_iter().chain(below.map(|asset| format!("/{}", asset.path))).collect()
}

fn names(head: &str) -> Vec<&str> {
    head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect()
}

#[test]
fn every_file_has_exactly_the_headers_of_the_policy() {
    let service = Service::start();
    for path in files() {
        for (method, extra) in
            [("GET", ""), ("HEAD", ""), ("GET", "\r\naccept-encoding: gzip, br"), ("GET", "\r\nif-none-match: *")]
        {
            let (head, _) = exchange(&service, &format!("{method} {path} HTTP/1.1{extra}"), b"");
            let status = if extra.contains("none-match") { "304" } else { "200" };
            assert!(head.starts_with(&format!("http/1.1 {status}")), "{method} {path}: {head}");
            for (name, value) in POLICY {
                assert_eq!(header(&head, name), value, "{path}");
            }
            for name in names(&head) {
                assert!(OTHERS.contains(&name) || POLICY.iter().any(|(known, _)| *known == name), "{path}: {name}");
                assert_eq!(names(&head).iter().filter(|other| **other == name).count(), 1, "{path}: {name} twice");
            }
            let kept = if PAGES.contains(&path.as_str()) { "no-cache" } else { "public, max-age=31536000, immutable" };
            assert_eq!(header(&head, "cache-control"), kept, "{path}");
        }
    }
}

#[test]
fn a_file_comes_in_the_form_that_is_asked_for_and_once() {
    let service = Service::start();
    for path in files() {
        let (head, plain) = exchange(&service, &format!("GET {path} HTTP/1.1"), b"");
        assert!(!head.contains("content-encoding") && !plain.is_empty(), "{head}");
        let tag = header(&head, "etag").to_owned();
        let (head, body) = exchange(&service, &format!("HEAD {path} HTTP/1.1"), b"");
        assert_eq!((header(&head, "content-length"), body.len()), (plain.len().to_string().as_str(), 0), "{path}");
        // Tags tell small letters from capitals, and `exchange` does not: ask with the one that the asset has.
        let asset = web_assets::assets().iter().find(|asset| format!("/{}", asset.path) == path);
        let Some(asset) = asset.filter(|asset| asset.brotli.is_some()) else { continue };
        assert_eq!(tag, format!("\"{}\"", asset.tag).to_lowercase());
        let (head, body) = exchange(&service, &format!("GET {path} HTTP/1.1\r\naccept-encoding: br"), b"");
        assert_eq!((header(&head, "content-encoding"), Some(&*body)), ("br", asset.brotli), "{path}");
        let (head, body) = exchange(&service, &format!("GET {path} HTTP/1.1\r\naccept-encoding: gzip"), b"");
        assert_eq!((header(&head, "content-encoding"), Some(&*body)), ("gzip", asset.gzip), "{path}");
        let again = format!("GET {path} HTTP/1.1\r\naccept-encoding: gzip\r\nif-none-match: \"{}-gz\"", asset.tag);
        let (head, body) = exchange(&service, &again, b"");
        assert!(head.starts_with("http/1.1 304") && body.is_empty(), "{path}: {head}");
        let other = format!("GET {path} HTTP/1.1\r\nif-none-match: \"{}-gz\"", asset.tag);
        assert!(exchange(&service, &other, b"").0.starts_with("http/1.1 200"), "{path}");
    }
}

#[test]
fn what_is_no_file_is_a_problem_like_any_other() {
    let service = Service::start();
    for path in [
        "/assets/nothing.js",
        "/assets/",
        "/assets",
        "/assets/../portal.html",
        "/assets/%2e%2e/portal.html",
        "/assets/%FF",
        "/assets//",
        "/portal.html",
        "/panel.html",
        "/index.html",
        "/favicon.ico",
        "/.vite/manifest.json",
        "/enrol/",
        "/device/x",
    ] {
        let (head, body) = exchange(&service, &format!("GET {path} HTTP/1.1"), b"");
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
        assert_eq!(header(&head, "cache-control"), "no-store", "{path}");
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["code"], "request.not_found", "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let (head, _) = exchange(&service, &format!("{method} / HTTP/1.1"), b"");
        assert!(head.starts_with("http/1.1 405"), "{method}: {head}");
        assert_eq!(header(&head, "allow"), "get,head");
    }
}

#[test]
fn a_page_is_loaded_however_often_one_network_asked_for_other_things() {
    let none = Limits { sign_in_per_net: 0, sign_up_per_net: 0, device_codes_per_net: 0, ..Limits::default() };
    let service = Service::with_limits(none);
    let body = serde_json::json!({ "email": "ada@example.org" });
    assert_eq!(service.raw(vault_client::Method::Post, routes::SIGNUP_START, None, &body).code(), "limit.rate");
    for _ in 0..20 {
        for path in files() {
            let (head, _) = exchange(&service, &format!("GET {path} HTTP/1.1"), b"");
            assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        }
    }
}

#[test]
fn the_interface_and_its_help_are_as_they_were() {
    let service = Service::start();
    let answer = service.raw(Get, routes::OPENAPI, None, &serde_json::Value::Null);
    let paths = answer.body["paths"].as_object().unwrap();
    assert!(
        !paths.keys().any(|path| PAGES.contains(&path.as_str()) || path.starts_with("/assets")),
        "files are no interface"
    );
    let (head, _) = exchange(&service, "GET /v1/server HTTP/1.1", b"");
    assert!(!head.contains("content-security-policy") && !head.contains("etag"), "{head}");
    let (head, _) = exchange(&service, "GET /help/auth.invalid HTTP/1.1", b"");
    assert!(!header(&head, "content-security-policy").contains("script-src"));
}

/// Passes requests for what is below `/safe/keys` on to the service, without that part, and answers nothing else: as a proxy
/// does that has the service under a path of another origin.
fn proxy_at_path(service: SocketAddr) -> SocketAddr {
    const BELOW: &str = "/safe/keys";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let Some(inner) = path.strip_prefix(BELOW).filter(|inner| inner.starts_with('/')) else {
                let _ = stream.write_all(b"HTTP/1.1 418 not below\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                continue;
            };
            let mut upstream = TcpStream::connect(service).unwrap();
            upstream.write_all(request.replacen(path, inner, 1).as_bytes()).unwrap();
            std::io::copy(&mut upstream, &mut stream).unwrap();
        }
    });
    address
}

fn through(proxy: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(proxy).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: example.org\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn behind_a_path_of_another_origin_the_page_finds_all_that_it_names() {
    let service = Service::start();
    let proxy = proxy_at_path(service.address());
    assert_eq!(through(proxy, "/").0, 418, "the canary: beside the path there is nothing");
    let (status, page) = through(proxy, "/safe/keys/");
    assert_eq!(status, 200);
    let mut named = 0;
    for attribute in ["src=\"", "href=\""] {
        for rest in page.split(attribute).skip(1) {
            let address = rest.split('"').next().unwrap();
            let below = address.strip_prefix("./").unwrap_or(address);
            assert!(!below.starts_with('/') && !below.contains(':'), "{address} leaves the path");
            assert_eq!(through(proxy, &format!("/safe/keys/{below}")).0, 200, "{address}");
            named += 1;
        }
    }
    assert!(named >= 2 || !Page::Portal.is_built(), "{page}");
    // Style sheets and scripts name what lies beside them.
    for asset in web_assets::assets().iter().filter(|asset| asset.path.ends_with(".css") || asset.path.ends_with(".js"))
    {
        let body = String::from_utf8(asset.plain.to_vec()).unwrap();
        for start in ["\"/assets/", "'/assets/", "`/assets/", "(/assets/", "\"/v1/", "'/v1/"] {
            assert!(!body.contains(start), "{}: {start} leaves the path", asset.path);
        }
    }
}

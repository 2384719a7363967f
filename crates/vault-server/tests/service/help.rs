//! Help pages: one for each code, for people, without scripts.

use vault_protocol::problem::Code;
use vault_protocol::routes;

use crate::frame::{exchange, header};
use crate::harness::Service;

fn page(service: &Service, path: &str, headers: &str) -> (String, String) {
    let (head, body) = exchange(service, &format!("GET {path} HTTP/1.1{headers}"), b"");
    (head, String::from_utf8(body).unwrap())
}

#[test]
fn every_code_has_a_page_and_the_problem_document_leads_to_it() {
    let service = Service::start();
    for code in Code::ALL {
        let path = routes::with_id(routes::HELP_PAGE, code.code());
        for (language, heading) in [("en", "What to do next"), ("de", "Was jetzt zu tun ist")] {
            let (head, body) = page(&service, &format!("{path}?lang={language}"), "");
            assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
            assert_eq!(header(&head, "content-language"), language);
            assert!(body.contains(&format!("<html lang=\"{language}\">")) && body.contains(heading), "{body}");
            assert!(body.contains(code.code()));
        }
    }
    let (_, answer) = exchange(&service, "GET /v1/account HTTP/1.1", b"");
    let problem: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    let path = problem["type"].as_str().unwrap().strip_prefix(&service.origin()).expect("a page of this service");
    assert!(page(&service, path, "").1.contains("auth.session_expired"));
}

#[test]
fn an_unknown_code_gets_a_page_that_says_nothing_about_what_was_asked() {
    let service = Service::start();
    for path in ["/help/no.such", "/help/%3Cscript%3E", "/help/AUTH.INVALID", "/help/%00"] {
        let (head, body) = page(&service, path, "");
        assert!(head.starts_with("http/1.1 404"), "{head}");
        assert!(body.contains("<h1>") && body.contains("href=\"/help?lang=en\""), "{body}");
        assert!(!body.contains("script") && !body.contains("no.such"), "{body}");
    }
    // What is no text is no page.
    assert!(page(&service, "/help/%FF", "").0.starts_with("http/1.1 404"));
}

#[test]
fn the_list_leads_to_all_of_them() {
    let service = Service::start();
    let (_, body) = page(&service, routes::HELP, "\r\naccept-language: de-DE,de;q=0.9,en;q=0.5");
    for code in Code::ALL {
        assert!(body.contains(&format!("href=\"/help/{}?lang=de\"", code.code())), "{}", code.code());
    }
    assert_eq!(body.matches("<h1>").count(), 1);
}

#[test]
fn a_page_runs_nothing_loads_nothing_and_cannot_be_framed() {
    let service = Service::start();
    let (head, body) = page(&service, "/help/auth.invalid", "");
    let policy = header(&head, "content-security-policy");
    for word in ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(word), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"));
    for word in ["<script", "<img", "<link", "http://", "https://", " style=", " onclick"] {
        assert!(!body.to_lowercase().contains(word), "{word}");
    }
    assert_eq!(header(&head, "referrer-policy"), "no-referrer");
    assert_eq!(header(&head, "content-type"), "text/html; charset=utf-8");
}

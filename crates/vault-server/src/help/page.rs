//! The pages: plain HTML that reads on a phone, in the dark, and aloud.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use vault_protocol::problem::Code;
use vault_protocol::routes;

use super::Language;
use super::texts::{kept, next, title, why, word};

/// Colours keep a contrast of 7:1 and more on their ground, in light and in dark.
const STYLE: &str = include_str!("style.css");

static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| format!("sha256-{}", data_encoding::BASE64.encode(&Sha256::digest(STYLE))));

/// The hash by which the policy of the page lets its one style sheet in.
pub(super) fn style_hash() -> &'static str {
    &STYLE_HASH
}

/// One code.
pub(super) fn code(language: Language, code: Code) -> String {
    let say = |name| word(language, name);
    let mut main = format!(
        "<p class=\"code\"><code>{}</code> {}</p>\n<h1>{}</h1>\n",
        code.code(),
        said_by(language, code),
        sentence(title(language, code)),
    );
    if let Some(why) = why(language, code) {
        main.push_str(&section(say("why"), "", why));
    }
    main.push_str(&section(say("next"), " class=\"next\"", next(language, code)));
    if let Some(kept) = kept(language, code) {
        main.push_str(&section(say("kept"), " class=\"kept\"", kept));
    }
    if code.status() != 0 {
        main.push_str(&format!("<p class=\"small\">{}</p>\n", sentence(say("ask"))));
    }
    let back = format!("<p><a href=\"{}\">{}</a></p>\n", in_language(routes::HELP, language), say("all"));
    main.push_str(&back);
    frame(language, title(language, code), &main, &routes::with_id(routes::HELP_PAGE, code.code()))
}

/// All codes, by the part before the dot.
pub(super) fn list(language: Language) -> String {
    let say = |name| word(language, name);
    let mut main = format!("<h1>{}</h1>\n<p>{}</p>\n", escaped(say("heading")), sentence(say("about")));
    let mut families: Vec<&str> = Vec::new();
    for code in Code::ALL {
        let family = family(*code);
        if !families.contains(&family) {
            families.push(family);
        }
    }
    for wanted in families {
        main.push_str(&format!("<h2>{}</h2>\n<dl>\n", escaped(say(wanted))));
        for code in Code::ALL.iter().filter(|code| family(**code) == wanted) {
            let address = in_language(&routes::with_id(routes::HELP_PAGE, code.code()), language);
            let said = sentence(title(language, *code));
            main.push_str(&format!("<dt><a href=\"{address}\"><code>{}</code></a></dt><dd>{said}</dd>\n", code.code()));
        }
        main.push_str("</dl>\n");
    }
    frame(language, say("heading"), &main, routes::HELP)
}

/// A code that this service does not know.
pub(super) fn unknown(language: Language) -> String {
    let say = |name| word(language, name);
    let main = format!(
        "<h1>{}</h1>\n{}<p><a href=\"{}\">{}</a></p>\n",
        sentence(say("unknown")),
        section(say("next"), " class=\"next\"", say("unknown-next")),
        in_language(routes::HELP, language),
        say("all"),
    );
    frame(language, say("unknown"), &main, routes::HELP)
}

fn family(code: Code) -> &'static str {
    code.code().split_once('.').map_or(code.code(), |(family, _)| family)
}

fn said_by(language: Language, code: Code) -> String {
    match code.status() {
        0 => escaped(word(language, "by-program")),
        status => format!("HTTP {status}"),
    }
}

fn section(heading: &str, class: &str, text: &str) -> String {
    format!("<section{class}>\n<h2>{}</h2>\n<p>{}</p>\n</section>\n", escaped(heading), sentence(text))
}

fn in_language(path: &str, language: Language) -> String {
    format!("{path}?lang={}", language.word())
}

fn frame(language: Language, title: &str, main: &str, path: &str) -> String {
    let others = Language::ALL.into_iter().filter(|other| *other != language).map(|other| {
        let (word, address) = (other.word(), in_language(path, other));
        format!("<a href=\"{address}\" lang=\"{word}\" hreflang=\"{word}\">{}</a>", other.own_name())
    });
    format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{} - Keyhaven</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<header><span class=\"name\">Keyhaven</span> <nav aria-label=\"{}\">{}</nav></header>\n\
         <main>\n{main}</main>\n</body>\n</html>\n",
        language.word(),
        escaped(&first_upper(title)),
        escaped(word(language, "language")),
        others.collect::<Vec<_>>().join(" "),
    )
}

/// A text of the catalogue as a sentence in HTML: begins with a capital, ends with a full stop, commands set apart.
fn sentence(text: &str) -> String {
    let mut text = first_upper(text);
    if !text.ends_with(['.', '!', '?', ':']) {
        text.push('.');
    }
    let parts = text.split('`').enumerate();
    parts.map(|(n, part)| if n % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) }).collect()
}

fn first_upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_sentences_and_never_markup() {
        assert_eq!(sentence("run `a <b>` & go on"), "Run <code>a &lt;b&gt;</code> &amp; go on.");
        assert_eq!(sentence("why?"), "Why?");
    }

    #[test]
    fn every_family_has_a_heading() {
        for language in Language::ALL {
            for code in Code::ALL {
                assert!(!word(language, family(*code)).is_empty(), "{} {}", language.word(), family(*code));
            }
        }
    }
}

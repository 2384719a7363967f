//! The message files.
//!
//! ```text
//! [auth.invalid]
//! title: what happened
//! next: what to do
//! why: how it comes about,
//!     on as many lines as it takes
//! kept: what was not lost, where that holds
//! ```
//!
//! English has title and next step in the catalogue already. Section `[page]` holds the words around the texts.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use vault_protocol::problem::Code;

use super::Language;

const PAGE: &str = "page";

type Section = BTreeMap<String, String>;

static ENGLISH: LazyLock<BTreeMap<String, Section>> = LazyLock::new(|| parse(include_str!("../../texts/en.txt")));
static GERMAN: LazyLock<BTreeMap<String, Section>> = LazyLock::new(|| parse(include_str!("../../texts/de.txt")));

fn sections(language: Language) -> &'static BTreeMap<String, Section> {
    match language {
        Language::English => &ENGLISH,
        Language::German => &GERMAN,
    }
}

/// A word around the texts.
pub(super) fn word(language: Language, name: &str) -> &'static str {
    text(language, PAGE, name).or_else(|| text(Language::English, PAGE, name)).unwrap_or_default()
}

/// What happened. The catalogue's own words where a language lacks its.
pub(super) fn title(language: Language, code: Code) -> &'static str {
    text(language, code.code(), "title").unwrap_or(code.title())
}

/// What to do next.
pub(super) fn next(language: Language, code: Code) -> &'static str {
    text(language, code.code(), "next").unwrap_or(code.next())
}

/// How it comes about.
pub(super) fn why(language: Language, code: Code) -> Option<&'static str> {
    text(language, code.code(), "why")
}

/// What was not lost, where that holds.
pub(super) fn kept(language: Language, code: Code) -> Option<&'static str> {
    text(language, code.code(), "kept")
}

fn text(language: Language, section: &str, name: &str) -> Option<&'static str> {
    sections(language).get(section)?.get(name).map(String::as_str)
}

fn parse(file: &str) -> BTreeMap<String, Section> {
    let mut sections = BTreeMap::<String, Section>::new();
    let (mut section, mut name) = (String::new(), String::new());
    for line in file.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if let Some(heading) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            heading.clone_into(&mut section);
            continue;
        }
        let texts = sections.entry(section.clone()).or_default();
        if let Some(more) = line.strip_prefix("    ") {
            let text = texts.entry(name.clone()).or_default();
            text.push(' ');
            text.push_str(more.trim());
        } else if let Some((found, text)) = line.split_once(": ") {
            found.clone_into(&mut name);
            let before = texts.insert(name.clone(), text.trim().to_owned());
            debug_assert!(before.is_none(), "[{section}] has {name} twice");
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that a section of a code may and must have.
    fn names(language: Language) -> (&'static [&'static str], &'static [&'static str]) {
        match language {
            Language::English => (&["why", "kept"], &["why"]),
            Language::German => (&["title", "next", "why", "kept"], &["title", "next", "why"]),
        }
    }

    #[test]
    fn every_code_is_explained_in_every_language_and_nothing_else_is() {
        let mut faults = Vec::new();
        for language in Language::ALL {
            let (may, must) = names(language);
            for code in Code::ALL {
                for name in must {
                    if text(language, code.code(), name).is_none_or(str::is_empty) {
                        faults.push(format!("{}: [{}] lacks {name}", language.word(), code.code()));
                    }
                }
            }
            for (section, texts) in sections(language).iter().filter(|(section, _)| *section != PAGE) {
                if Code::parse(section).is_none() {
                    faults.push(format!("{}: [{section}] is no code", language.word()));
                }
                let strange = texts.keys().filter(|name| !may.contains(&name.as_str()));
                faults.extend(strange.map(|name| format!("{}: [{section}] has {name:?}", language.word())));
            }
        }
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    }

    #[test]
    fn what_was_not_lost_is_said_in_all_languages_or_in_none() {
        for code in Code::ALL {
            let said = Language::ALL.map(|language| kept(language, *code).is_some());
            assert!(said.windows(2).all(|pair| pair[0] == pair[1]), "{}", code.code());
        }
    }

    #[test]
    fn the_words_around_the_texts_are_the_same_set() {
        let words = |language| sections(language)[PAGE].keys().collect::<Vec<_>>();
        assert_eq!(words(Language::English), words(Language::German));
    }
}

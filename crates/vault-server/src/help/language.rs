//! Which language a reader gets: the one asked for in the address, else the first known one that the browser prefers.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::request::Parts;

/// A language that the pages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    German,
}

impl Language {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::German];

    /// Its word in HTML and HTTP (BCP 47).
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// What its speakers call it.
    pub(super) fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let main = word.split('-').next().unwrap_or(word).trim();
        Self::ALL.into_iter().find(|language| main.eq_ignore_ascii_case(language.word()))
    }

    fn chosen(query: &str) -> Option<Self> {
        query.split('&').find_map(|word| word.strip_prefix("lang=")).and_then(Self::parse)
    }

    /// The known language with the highest weight; of equal ones the first.
    fn preferred(accepted: &str) -> Option<Self> {
        let weighed = accepted.split(',').filter_map(|item| {
            let (word, rest) = item.split_once(';').unwrap_or((item, ""));
            let weight =
                rest.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.trim().parse::<f32>().ok())?;
            (weight > 0.0).then_some((Self::parse(word)?, weight))
        });
        let best = weighed.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map(|(language, _)| language)
    }
}

impl<S: Sync> FromRequestParts<S> for Language {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let accepted = parts.headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let chosen = Self::chosen(parts.uri.query().unwrap_or_default());
        Ok(chosen.or_else(|| Self::preferred(accepted)).unwrap_or(Self::English))
    }
}

#[cfg(test)]
mod tests {
    use super::Language::{self, English, German};

    #[test]
    fn the_reader_gets_what_the_browser_prefers() {
        for (accepted, expected) in [
            ("de", Some(German)),
            ("de-AT,de;q=0.9,en;q=0.8", Some(German)),
            ("en-GB, de;q=0.9", Some(English)),
            ("fr, de;q=0.5, en;q=0.4", Some(German)),
            ("de;q=0, en;q=0.1", Some(English)),
            ("de;q=x", None),
            ("fr", None),
            ("", None),
        ] {
            assert_eq!(Language::preferred(accepted), expected, "{accepted}");
        }
        assert_eq!(Language::chosen("a=b&lang=de"), Some(German));
        assert_eq!(Language::chosen("lang=xx"), None);
    }
}

//! Errors as the pages take them: a code they have texts for, and what the code does not say.

use serde_json::{Value, json};
use vault_client::{AuthenticatorError, CryptoError, Error};

/// What the pages are told. Never holds a secret: texts of errors never do.
pub(crate) fn document(error: &Error) -> Value {
    let mut document = json!({ "code": code(error), "title": error.to_string() });
    match error {
        Error::Problem(problem) => {
            document["next"] = json!(problem.next);
            document["requestId"] = json!(problem.request_id);
            document["wrongGroup"] = json!(problem.group);
            document["driftSeconds"] = json!(problem.drift_seconds);
            document["at"] = json!(problem.at);
            document["retryAfter"] = json!(problem.retry_after);
        }
        Error::Transport(cause) => document["cause"] = json!(cause.to_string()),
        _ => {}
    }
    document
}

/// A refusal of the pages' own making, under a code of theirs.
pub(crate) fn of_page(code: &str, title: &str) -> Value {
    json!({ "code": code, "title": title })
}

fn code(error: &Error) -> String {
    let of_page = match error {
        Error::Cancelled => "page.cancelled",
        Error::KitNotConfirmed => "page.not_kept",
        Error::Authenticator(AuthenticatorError::NotConfirmed) => "page.cancelled",
        Error::Authenticator(_) | Error::NoSuchPasskey => "page.passkey",
        Error::Crypto(CryptoError::KitCode) => "page.kit_code",
        // A code that the service names and this build does not know has the service's own words.
        Error::Problem(problem) => return problem.code.clone(),
        _ => return error.code().map_or_else(|| "page.fault".to_owned(), |code| code.code().to_owned()),
    };
    of_page.to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Whatever a call may fail with is said in words of the page; a cancelled one is not said at all.
    #[test]
    fn every_code_of_ours_has_its_words() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let words = |language: &str| {
            let file = folder.join(format!("../../portal/src/i18n/errors.{language}.ts"));
            std::fs::read_to_string(file).unwrap_or_default()
        };
        let (english, german) = (words("en"), words("de"));
        let mut sources = vec![folder.join("src/failure.rs")];
        for entry in std::fs::read_dir(folder.join("src/calls")).into_iter().flatten().flatten() {
            sources.push(entry.path());
        }
        let mut found = 0;
        for source in sources {
            let text = std::fs::read_to_string(&source).unwrap_or_default();
            for code in text.split("\"page.").skip(1).filter_map(|rest| rest.split('"').next()) {
                if code == "cancelled"
                    || code.is_empty()
                    || !code.chars().all(|it| it.is_ascii_lowercase() || it == '_')
                {
                    continue;
                }
                found += 1;
                for part in ["title", "next"] {
                    let key = format!("\"error.page.{code}.{part}\"");
                    assert!(english.contains(&key) && german.contains(&key), "{key}");
                }
            }
        }
        assert!(found > 10, "{found}");
    }
}

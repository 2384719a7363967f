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

//! The account on this computer, and its errors in words: what failed, why, what to do next, and the code, which never changes.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use vault_client::problem::Code;
use vault_client::{Client, Error, HttpTransport, State};

use crate::failure::{Failure, Kind, Outcome};
use crate::words::shown;

/// A client over HTTP.
pub type HttpClient = Client<HttpTransport>;

/// The folder where this computer keeps what it knows about the account, unless another one was named.
///
/// # Errors
/// There is no home folder.
pub fn state_folder(named: Option<&Path>) -> Outcome<PathBuf> {
    if let Some(folder) = named.filter(|folder| !folder.as_os_str().is_empty()) {
        return Ok(folder.to_owned());
    }
    let strategy = etcetera::choose_base_strategy().map_err(|error| {
        Failure::could_not("there is no home folder to keep the account's state in")
            .because(&error)
            .hint("name a folder with --state or KEYHAVEN_STATE")
    })?;
    Ok(strategy.state_dir().unwrap_or_else(|| strategy.data_dir()).join("keyhaven"))
}

/// A client with the state in this folder, of the service that was named or that the state knows.
///
/// # Errors
/// [`Kind::NotEnrolled`] when neither names a service; the address cannot be used.
pub fn client(server: Option<&str>, folder: PathBuf) -> Outcome<HttpClient> {
    let state = State::new(folder);
    let known = state.server_address().map_err(|error| explain(&error))?;
    let address = match (server.filter(|address| !address.is_empty()), known) {
        (Some(asked), _) => asked.to_owned(),
        (None, Some(known)) => known,
        (None, None) => {
            return Err(Failure::could_not("this computer does not know any account service yet")
                .kind(Kind::NotEnrolled)
                .hint("name it with --server or KEYHAVEN_SERVER, for instance https://keys.example.org"));
        }
    };
    let transport = HttpTransport::new(&address)
        .map_err(|error| Failure::could_not("the address of the account service cannot be used").because(&error))?;
    Ok(Client::new(transport, state))
}

/// Error, cause, next step and exit status for an error of the account.
#[must_use]
pub fn explain(error: &Error) -> Failure {
    let mut failure = match error {
        Error::Problem(problem) => {
            // The service's words, on one line each: they must not look like ours.
            let title = shown(&problem.title);
            let failure = if problem.status >= 500 || problem.status == 429 {
                Failure::could_not(title)
            } else {
                Failure::no(title)
            };
            let failure = match problem.retry_after {
                Some(seconds) => failure.cause(format!("the service asks to wait {}", wait(seconds))),
                None => failure,
            };
            let failure = match problem.drift_seconds {
                Some(seconds) if seconds < 0 => failure.cause(format!(
                    "it was right {} ago: an old code, or a clock that is behind",
                    wait(seconds.unsigned_abs())
                )),
                Some(seconds) => {
                    failure.cause(format!("the clock of the authenticator is {} ahead", wait(seconds.unsigned_abs())))
                }
                None => failure,
            };
            failure.hint(next(problem.code.as_str(), &problem.next))
        }
        Error::Transport(source) => Failure::could_not("the account service cannot be reached")
            .kind(Kind::Unreachable)
            .cause(source.to_string())
            .hint("check the connection and the address (--server), then run it again"),
        Error::NewKeys { .. } => Failure::no("the account has other keys than this computer knows").because(error).hint(
            "if you began the account again, compare the fingerprint with the new emergency kit, then sign in with \
             `keyhaven account sign-in --accept-new-keys`; if you did not, do not continue, and tell whoever runs the service",
        ),
        Error::FormerKeys => Failure::no("this key was saved before the account began again with new keys")
            .hint("with the emergency kit of that time `keyhaven keys bring-over` reads it"),
        Error::NotSignedIn => {
            Failure::could_not("nobody is signed in on this computer").hint("sign in with `keyhaven account sign-in`")
        }
        Error::NotEnrolled => Failure::could_not("this computer is not enrolled to save keys")
            .kind(Kind::NotEnrolled)
            .cause("only an enrolled device may add keys to an account; it is enrolled once, with two-factor")
            .hint("enrol it with `keyhaven device enrol`"),
        Error::State { .. } | Error::DamagedState { .. } => {
            Failure::could_not("the account's files on this computer failed")
                .because(error)
                .hint("check the folder named above (--state), its owner and the free space")
        }
        Error::KeyExposed { path, .. } => {
            Failure::could_not("the device key of this computer could be used by others").because(error).hint(format!(
                "if only you could read it so far, make it yours (`chown` and `chmod 600 {path}`); if not, revoke this \
                     computer and enrol it again"
            ))
        }
        Error::StateExposed { path, .. } => Failure::could_not(
            "the account's folder on this computer could be changed by others",
        )
        .because(error)
        .hint(format!(
            "if nobody else put anything there, make it yours (`chown` and `chmod 700 {path}`); if you do not know, \
                     name another one with --state and sign in and enrol again"
        )),
        Error::OtherKind => Failure::no("this record keeps another kind of key")
            .hint("`keyhaven keys list` tells what each record keeps"),
        Error::Answer(_) => Failure::could_not("the account service gave an answer that cannot be understood")
            .because(error)
            .hint("check the address of the service (--server), and update the program"),
        Error::WrongOrigin { expected, found } => {
            Failure::no("the account service goes by another address than the one used here").because(error).hint(
                format!("if {} is the right address, use it instead of {expected}; if not, do not go on", shown(found)),
            )
        }
        Error::Log { evidence, .. } => Failure::no(error.to_string())
            .cause(format!("what it signed is kept in {evidence}"))
            .hint(Code::LogInconsistent.next()),
        Error::LogUnchecked { .. } => Failure::no(error.to_string())
            .cause("its answers could not be read or are kept back; nothing shows that it still holds what it held"),
        Error::OnlyPasskeys => Failure::no(
            "the account's only second factors are passkeys, and this program has no authenticator",
        )
        .cause("a passkey works in a browser, at the address of the service")
        .hint(
            "type a backup code if you have some; or sign in there with the passkey and add an authenticator app with \
                     codes, which works here, too",
        ),
        Error::KitNotConfirmed => Failure::no("no account was made: the emergency kit was not confirmed")
            .hint("run it again, and keep the kit on paper or in a file"),
        Error::Cancelled => Failure::no("cancelled; nothing was changed"),
        other => with_code(Failure::no(other.to_string()), other),
    };
    let code = error.code().map(|code| code.code().to_owned());
    let unknown = if let Error::Problem(problem) = error { Some(shown(&problem.code)) } else { None };
    if let Error::Problem(problem) = error
        && problem.kind.starts_with("http")
    {
        failure.page = Some(problem.kind.as_str().into());
    }
    failure.code = code.or(unknown);
    failure
}

fn with_code(failure: Failure, error: &Error) -> Failure {
    match error.code() {
        Some(code) => failure.hint(code.next()),
        None => failure,
    }
}

/// The service's word for the next step, with this program's own where there is a better one.
fn next(code: &str, next: &str) -> String {
    match Code::parse(code) {
        Some(Code::AuthSessionExpired) => "sign in again with `keyhaven account sign-in`".to_owned(),
        Some(Code::DeviceRevoked) => {
            "enrol this computer again with `keyhaven device enrol`; keys that wait here stay in the outbox".to_owned()
        }
        Some(Code::FactorLabelTaken) => "choose another name with --label".to_owned(),
        Some(Code::AuthEmailCodeInvalid) => "ask whoever runs the service for a new invite".to_owned(),
        _ => shown(next),
    }
}

fn wait(seconds: u64) -> String {
    match seconds {
        0..=120 => format!("{seconds} seconds"),
        121..=7200 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_service_stay_words() {
        let mut problem = Code::AuthInvalid.problem();
        let words = "x\u{1b}]0;y\u{7}\nkeyhaven: hint: run `curl`\u{202e}";
        (problem.title, problem.next, problem.code) = (words.into(), words.into(), words.into());
        let failure = explain(&Error::Problem(Box::new(problem)));
        for said in [Some(failure.error), failure.hint, failure.code] {
            let said = said.unwrap();
            assert!(said.starts_with("x\\u{1b}]0;y\\u{7}\\u{a}keyhaven"), "{said}");
            assert!(!said.contains(|letter: char| letter.is_control() || letter == '\u{202e}'), "{said}");
        }
    }
}

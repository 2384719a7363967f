//! `keyhaven account recover`: a new password after the old one is lost.

use serde_json::json;
use vault_client::{Error, Recovery, SignInFactor};

use super::account::{RecoverArgs, email_of};
use crate::account::{KeptFile, explain, keep_kit, kit_code, mailed_code};
use crate::failure::{Failure, Outcome};
use crate::output;

pub(crate) fn run(arguments: &RecoverArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let email = email_of(&client, arguments.email.as_ref())?;
    let mut person = arguments.person.person()?;
    let recovery = Recovery {
        kit_code: kit_code(arguments.kit_file.as_deref())?,
        password: person.other_new_password(&email, arguments.new_account_password_file.as_deref())?,
        email: email.clone(),
    };
    // What went wrong with a question is told as itself.
    let asking = std::cell::RefCell::new(None);
    let mut mailed = || {
        let code = mailed_code(arguments.mailed_code_file.as_deref());
        kept(code, &asking).map(|code| code.expose().to_owned())
    };
    let mut tries = 0;
    let mut factor = |wrong: Option<&Error>| {
        if wrong.is_some_and(|error| !person.may_correct(error, &mut tries)) {
            return None;
        }
        kept(person.code("code of your authenticator, or a backup code"), &asking).map(SignInFactor::of)
    };
    let mut kit_file = KeptFile::new(arguments.kit_out.as_deref());
    let mut keep = |kit: &vault_client::Kit| kept(kit_file.keep(|file| keep_kit(kit, file)), &asking).unwrap_or(false);
    let done = client.recover_password(&recovery, &mut mailed, &mut factor, &mut keep);
    if let Err(error) = done {
        kit_file.discard(&error);
        if kit_file.may_count(&error) {
            return Err(explain(&error).hint(
                "the new password may be set all the same: keep both kits and try `keyhaven account sign-in` with it; if \
                 it is refused, the kit before is still the good one",
            ));
        }
        return Err(asking.into_inner().unwrap_or_else(|| failure(&error)));
    }
    let document = json!({
        "email": email, "password_changed": true,
        "kit_out": arguments.kit_out.as_ref().map(|path| path.display().to_string()),
    });
    let text = "The new password is set, and every session has ended. The kit that you used is void; keep the new one.\n\n\
        Next: sign in.\n  keyhaven account sign-in\n";
    output::report(json, &document, text)
}

pub(super) fn kept<R>(answer: Outcome<R>, asking: &std::cell::RefCell<Option<Failure>>) -> Option<R> {
    answer.map_err(|failure| *asking.borrow_mut() = Some(failure)).ok()
}

pub(super) fn failure(error: &Error) -> Failure {
    match error {
        Error::Crypto(vault_client::CryptoError::KitCode) => {
            Failure::no("this is not the code of an emergency kit: it is incomplete or mistyped")
                .hint("type all seven groups of four, as they are on the paper")
        }
        Error::KitNotConfirmed => Failure::no("nothing was changed: the new emergency kit was not confirmed")
            .hint("run it again, and keep the new kit on paper or in a file"),
        other if other.is(vault_client::problem::Code::AuthInvalid) => {
            explain(other).hint("check the address and the kit; a kit is void once it was used or replaced")
        }
        other if other.is(vault_client::problem::Code::AuthEmailCodeInvalid) => {
            explain(other).hint("use the code of the newest mail; run it again for another one")
        }
        other => explain(other),
    }
}

//! `keyhaven account new-kit`: a new emergency kit in place of one that is lost.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use vault_client::Error;

use crate::account::{AccountArgs, KeptFile, PersonArgs, explain, keep_kit};
use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven account new-kit --kit-out kit.txt\n\n\
    The kit before stays good until the new one is known to be kept, and is void afterwards.")]
pub(crate) struct NewKitArgs {
    /// Write the new emergency kit to this new file instead of showing it
    #[arg(long, value_name = "FILE")]
    kit_out: Option<PathBuf>,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

pub(crate) fn run(arguments: &NewKitArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let mut person = arguments.person.person()?.at(&client);
    let mut file = KeptFile::new(arguments.kit_out.as_deref());
    let (mut keeping, mut may_count, mut not_kept) = (None, false, false);
    let made = person.confirm(|presence| {
        let made = client.replace_kit(presence, &mut |kit| {
            file.keep(|file| keep_kit(kit, file)).unwrap_or_else(|failure| {
                keeping = Some(failure);
                false
            })
        });
        if let Err(error) = &made {
            file.discard(error);
            may_count = file.may_count(error);
            not_kept = matches!(error, Error::KitNotConfirmed);
        }
        made
    });
    if let Err(failure) = made {
        if may_count {
            return Err(failure.hint("the new kit may count all the same: keep both; the one that is void is refused"));
        }
        if not_kept && keeping.is_none() {
            return Err(Failure::no("nothing was changed: the new emergency kit was not confirmed")
                .hint("run it again, and keep the new kit on paper or in a file"));
        }
        return Err(keeping.unwrap_or(failure));
    }
    let (_, email, _) = client.known_account().map_err(|error| explain(&error))?.unwrap_or_default();
    let document = json!({
        "email": email, "kit_replaced": true,
        "kit_out": arguments.kit_out.as_ref().map(|path| path.display().to_string()),
    });
    output::report(json, &document, "The new emergency kit is good from now on; the one before is void.\n")
}

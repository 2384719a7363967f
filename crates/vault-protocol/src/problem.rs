//! The error catalogue: codes that never change, what they mean, what to do next.
//!
//! Travels as a problem document (RFC 9457). No text here may ever advise weakening the account.

use serde::{Deserialize, Serialize};

/// Media type of problem documents.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Address of the code's help page; relative where no service said it.
    #[serde(rename = "type")]
    pub kind: String,
    /// HTTP status.
    pub status: u16,
    /// Code of the catalogue.
    pub code: String,
    /// What happened.
    pub title: String,
    /// What to do next.
    pub next: String,
    /// Names the request in the service's log.
    #[serde(default)]
    pub request_id: String,
    /// Seconds to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Which group of a recovery password, 1 to 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u8>,
    /// With a wrong code that was right at another time: how many seconds the clock of the authenticator is ahead;
    /// negative when it is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_seconds: Option<i64>,
    /// When a safety delay ends, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<crate::Millis>,
    /// RFC 8628's word, for enrolling devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

macro_rules! catalogue {
    ($($name:ident = $code:literal, $status:literal, $title:literal, $next:literal;)+) => {
        /// A code of the catalogue. Status 0: known to clients only.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] $name,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as it travels.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// HTTP status; 0 for codes that only clients use.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// What happened.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// What to do next.
            #[must_use]
            pub const fn next(self) -> &'static str {
                match self { $(Self::$name => $next,)+ }
            }
        }
    };
}

catalogue! {
    AuthInvalid = "auth.invalid", 401, "the e-mail address, the password or the factor did not match",
        "try again; after two tries use another factor or your emergency kit";
    AuthSessionExpired = "auth.session_expired", 401, "the session has ended",
        "sign in again; unsent work is kept";
    AuthLocked = "auth.locked", 429, "too many wrong tries", "wait and try again later";
    AuthEmailCodeInvalid = "auth.email_code_invalid", 400, "the mailed code or the invite is wrong or too old",
        "ask for a new one";
    SignupEmailTaken = "signup.email_taken", 409, "this e-mail address has an account already",
        "sign in, or use another address";
    AuthKdfRefused = "auth.kdf_refused", 400, "the service asks for weaker password protection than is allowed",
        "update the program; report this to whoever runs the service";
    AuthNewKeys = "auth.new_keys", 0, "the account has other keys than this computer knows",
        "if you began the account again, compare its fingerprint with the new kit and accept it; otherwise do not continue";
    FactorRequired = "factor.required", 403, "the password was right; the second factor is still missing",
        "continue with the second factor";
    FactorCodeUsed = "factor.code_used", 401, "this code was used already",
        "wait for the next code (up to 30 seconds), or use another backup code";
    FactorCodeWrong = "factor.code_wrong", 401, "the code does not match",
        "set the clock of the phone to automatic and use the newest code, or use a backup code";
    FactorLastOne = "factor.last_one", 409, "this is the only factor", "add another factor first";
    FactorSame = "factor.same_one", 409, "the factor to be removed confirmed this itself",
        "confirm with a code of another authenticator, or with a backup code";
    FactorLabelTaken = "factor.label_taken", 409, "another factor of the account has this name", "choose another name";
    FactorTooMany = "factor.too_many", 409, "the account has as many factors as it may",
        "remove one that is not used any more: `keyhaven factors remove`";
    FactorPrfUnavailable = "factor.prf_unavailable", 409, "this passkey cannot derive a key here",
        "it signs you in all the same; open the vault with the password, the emergency kit or another passkey";
    FactorPrfLeaked = "factor.prf_leaked", 400, "the program sent key material of a passkey, which it never may",
        "update the program, remove the passkey and make a new one; this one does not open the vault any more";
    FactorPasskeyUnavailable = "factor.passkey_unavailable", 409,
        "passkeys need a service whose address is a domain name",
        "use an authenticator with codes; whoever runs the service can give it a domain name";
    FactorEnrolNeeded = "factor.enrol_needed", 403, "until a second factor is added, this session can do nothing else",
        "add one now: `keyhaven factors add`; saving goes on meanwhile";
    FactorNoMail = "factor.no_mail", 409,
        "the service sends no mail, so nothing could stand in for a second factor that is lost or given up",
        "use another factor or a backup code; ask whoever runs the service to have it send mail";
    RecoverWaiting = "recover.waiting", 202, "the safety delay is running",
        "wait until it is over, or use another factor sooner; cancel it if it was not you";
    RecoverCancelled = "recover.cancelled", 409, "the reset was cancelled, has lapsed, or was never begun",
        "look at the account's activity, and begin it again if it was you";
    RecoverNoSlot = "recover.no_slot", 409, "nothing that is at hand opens these saved keys",
        "find the emergency kit of that time, or save the keys again from each computer that still starts";
    WaitOver = "wait.over", 409, "there is no such delay, or it is over already", "look at the account";
    WaitNoMail = "wait.no_mail", 409, "the service sends no mail, so a deletion could not be announced to you",
        "ask whoever runs the service to have it send mail";
    StepupRequired = "stepup.required", 403, "this needs a fresh second factor", "confirm with a new code";
    StepupGrantUsed = "stepup.grant_used", 409, "the confirmation was used already or is too old", "confirm again";
    DeviceCodeExpired = "device.code_expired", 400, "the enrolment code has expired or is not known",
        "start the enrolment again on the device";
    DevicePending = "device.pending", 400, "the owner has not approved yet", "keep waiting";
    DeviceSlowDown = "device.slow_down", 400, "asked too often", "wait five seconds longer between tries";
    DeviceCheckFailed = "device.check_failed", 400, "the check code does not belong to this device",
        "compare both codes; after three tries start the enrolment again";
    DeviceAccountKeyMismatch = "device.account_key_mismatch", 0, "the account's key was not authenticated",
        "do not continue; enrol again by link, and tell whoever runs the service";
    DeviceRevoked = "device.revoked", 403, "this device was revoked or is not known",
        "enrol it again; keys that wait here stay in the outbox";
    DeviceCapability = "device.capability", 403, "a device may only add keys", "read keys with an account session";
    OrderInvalid = "order.invalid", 422, "the rotation order is malformed, or signed by another key than the account's",
        "update the program, and show the key again";
    OrderOver = "order.over", 409, "this rotation order is done, failed or not known", "nothing is left to do for it";
    OrderOpen = "order.open", 409, "the key is ordered to be replaced already", "wait for its computer to do so";
    RecordInvalid = "record.invalid", 422, "the record is malformed", "update the program; the outbox keeps the item";
    RecordBadPasswordDigits = "record.bad_password_digits", 422, "a group of the recovery key fails its check digit",
        "correct that group";
    RecordSignature = "record.signature", 403, "the signature of the record does not fit", "enrol the device again";
    RecordIdConflict = "record.id_conflict", 409, "another record has this identifier", "save it again";
    RecordQuota = "record.quota", 429, "a limit on saved keys is reached",
        "try again later or ask whoever runs the service; nothing that is saved is lost";
    RecordNotFound = "record.not_found", 404, "no such record in this account", "list the keys again";
    RecordUnverified = "record.unverified", 0, "who saved this record cannot be verified",
        "do not use it; compare it with the key ID on the PC";
    SaveNotDurable = "save.not_durable", 503, "the service could not confirm that the key is stored",
        "nothing was lost: the sealed key waits here and is sent again";
    RecordDeleted = "record.deleted", 410, "the owner of the account had this record deleted",
        "save the key once more if it is still wanted: it becomes a new record";
    RevealReason = "reveal.reason", 422, "the reason is missing or unknown", "choose a reason";
    RevealLimit = "reveal.limit", 429, "too many keys were released in a short time", "wait and try again later";
    RevealSlotFailed = "reveal.slot_failed", 0, "the vault could not be opened this way",
        "try the password again, or the emergency kit";
    LimitRate = "limit.rate", 429, "too many requests", "wait and try again";
    LogInconsistent = "log.inconsistent", 0, "the service's history differs from what was seen before",
        "stop; keep what you have as evidence and contact whoever runs the service";
    ServerBusy = "server.busy", 503, "the service is busy or cannot be reached", "try again later";
    ServerVersion = "server.version", 426, "this program is too old for the service", "update the program";
    RequestInvalid = "request.invalid", 400, "the request is malformed", "update the program";
    RequestMethod = "request.method", 405, "this address does not take requests of this kind", "update the program";
    RequestMediaType = "request.media_type", 415, "the request does not say that it is JSON", "update the program";
    RequestTooLarge = "request.too_large", 413, "the request is too large", "update the program";
    RequestTimeout = "request.timeout", 408, "the request did not arrive in time", "check the connection and try again";
    NotFound = "request.not_found", 404, "there is nothing under this address", "check the address of the service";
    ServerFault = "server.fault", 500, "the service failed", "try again; if it stays, tell whoever runs the service";
}

impl Code {
    /// The code with this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.code() == text)
    }

    /// Its problem document.
    #[must_use]
    pub fn problem(self) -> Problem {
        Problem {
            kind: crate::routes::with_id(crate::routes::HELP_PAGE, self.code()),
            status: self.status(),
            code: self.code().to_owned(),
            title: self.title().to_owned(),
            next: self.next().to_owned(),
            request_id: String::new(),
            retry_after: None,
            group: None,
            drift_seconds: None,
            at: None,
            error: match self {
                Self::DevicePending => Some("authorization_pending".to_owned()),
                Self::DeviceSlowDown => Some("slow_down".to_owned()),
                Self::DeviceCodeExpired => Some("expired_token".to_owned()),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.code()), Some(*code));
            assert!(!code.next().is_empty());
        }
    }

    #[test]
    fn no_text_weakens_the_account() {
        for code in Code::ALL {
            let text = format!("{} {}", code.title(), code.next()).to_lowercase();
            for word in ["turn off", "disable", "switch off", "without two-factor"] {
                assert!(!text.contains(word), "{}: {text}", code.code());
            }
        }
    }
}

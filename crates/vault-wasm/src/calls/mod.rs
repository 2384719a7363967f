//! The calls of the pages.

mod account;
mod audit;
mod devices;
mod export;
mod lost;
mod records;

use secret::SecretString;
use serde::Deserialize;
use vault_client::{Authenticator, Confirm, Presence};

use crate::engine::{Called, Engine};
use crate::failure;
use crate::host::Host;

/// How an act is confirmed, as the page says it.
#[derive(Deserialize)]
#[serde(tag = "by", rename_all = "lowercase")]
enum Confirming {
    Passkey {
        #[serde(default)]
        password: Option<SecretText>,
    },
    Code {
        password: SecretText,
        code: SecretText,
    },
}

/// A text that is wiped.
#[derive(Clone)]
pub(crate) struct SecretText(pub(crate) SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretString::new(text)))
    }
}

/// The same with a lifetime that the client takes.
enum Given {
    Passkey(Option<SecretString>),
    Code(Presence),
}

impl Confirming {
    fn given(self) -> Given {
        match self {
            Self::Passkey { password } => Given::Passkey(password.map(|text| text.0)),
            Self::Code { password, code } => Given::Code(Presence { password: password.0, code: code.0 }),
        }
    }
}

impl Given {
    fn confirm<'a>(&'a self, authenticator: &'a dyn Authenticator) -> Confirm<'a> {
        match self {
            Self::Passkey(password) => Confirm::Passkey { authenticator, password: password.as_ref() },
            Self::Code(presence) => Confirm::Code(presence),
        }
    }
}

impl<H: Host> Engine<H> {
    pub(crate) fn dispatch(&mut self, name: &str, arguments: &str) -> Called {
        match name {
            "service" => self.service(),
            "known" => self.known(),
            "strength" => self.strength(arguments),
            "qr" => qr(arguments),
            "signUp" => self.sign_up(arguments),
            "signIn" => self.sign_in(arguments),
            "signInWithPasskey" => self.sign_in_with_passkey(),
            "signOut" => self.sign_out(),
            "account" => self.account(),
            "factorList" => self.factor_list(),
            "addTotp" => self.add_totp(arguments),
            "addPasskey" => self.add_passkey(arguments),
            "letPasskeyOpenVault" => self.let_passkey_open_vault(arguments),
            "removeFactor" => self.remove_factor(arguments),
            "makeBackupCodes" => self.make_backup_codes(arguments),
            "replaceKit" => self.replace_kit(arguments),
            "changePassword" => self.change_password(arguments),
            "beginTwoFactorOff" => self.begin_two_factor_off(arguments),
            "deleteRecord" => self.delete_record(arguments),
            "deleteAccount" => self.delete_account(arguments),
            "waits" => self.waits(),
            "cancelWait" => self.cancel_wait(arguments),
            "cancelWaitWithCode" => self.cancel_wait_with_code(arguments),
            "records" => self.records(),
            "reveal" => self.reveal(arguments),
            "readKeys" => self.read_keys(arguments),
            "saveKeys" => self.save_keys(arguments),
            "exportKeys" => self.export_keys(arguments),
            "devices" => self.devices(),
            "approveDevice" => self.approve_device(arguments),
            "approveLink" => self.approve_link(arguments),
            "renameDevice" => self.rename_device(arguments),
            "revokeDevice" => self.revoke_device(arguments),
            "auditTrail" => self.audit_trail(),
            "auditVerify" => self.audit_verify(),
            "auditExport" => self.audit_export(),
            "recoverPassword" => self.recover_password(arguments),
            "resetFactors" => self.reset_factors(arguments),
            "startOver" => self.start_over(arguments),
            "bringOver" => self.bring_over(arguments),
            _ => Err(failure::of_page("page.fault", "a call that this build does not know")),
        }
    }
}

/// A picture of a text.
fn qr(arguments: &str) -> Called {
    let (text,): (SecretText,) = crate::engine::read(arguments)?;
    let code = qrcode::QrCode::with_error_correction_level(text.0.expose().as_bytes(), qrcode::EcLevel::M)
        .map_err(|_| failure::of_page("page.fault", "too long for a picture"))?;
    let bits: Vec<u8> = code.to_colors().into_iter().map(|colour| u8::from(colour == qrcode::Color::Dark)).collect();
    Ok(serde_json::json!({ "size": code.width(), "bits": bits }))
}

//! A new authenticator: its secret as a picture for the phone, as text, or in a file.

use std::path::Path;

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use vault_client::NewTotp;
use zeroize::Zeroizing;

use crate::failure::Outcome;
use crate::{files, prompt};

/// Shows the secret of a new authenticator on the terminal, or writes its link to a new file.
pub(crate) fn show_totp(totp: &NewTotp, file: Option<&Path>) -> Outcome {
    if let Some(file) = file {
        let line = Zeroizing::new(format!("{}\n", totp.uri.expose()));
        return files::write_new_private(file, line.as_bytes());
    }
    let mut text = Zeroizing::new(String::with_capacity(8192));
    text.push_str("\nScan this with the authenticator on your phone:\n\n");
    if let Some(picture) = picture(totp.uri.expose()) {
        text.push_str(&picture);
    }
    text.push_str("\nor type this secret into it:  ");
    for (index, letter) in totp.secret.expose().chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            text.push(' ');
        }
        text.push(letter);
    }
    text.push_str("\n\n");
    prompt::show(&text)
        .map_err(|failure| failure.hint("write the authenticator's link to a file with --totp-secret-out FILE"))
}

/// A QR code in half blocks, black on white whatever the colours of the terminal are.
pub(crate) fn picture(uri: &str) -> Option<Zeroizing<String>> {
    let code = QrCode::with_error_correction_level(uri, EcLevel::L).ok()?;
    let blocks = Zeroizing::new(
        code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).quiet_zone(true).build(),
    );
    let mut out = Zeroizing::new(String::with_capacity(blocks.len() * 2));
    for line in blocks.lines() {
        out.push_str("\u{1b}[30;107m");
        out.push_str(line);
        out.push_str("\u{1b}[0m\n");
    }
    Some(out)
}

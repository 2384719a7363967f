//! The way out by mail: each notice is handed to one mail server, over TLS unless that server is on this computer.

use std::fmt::{self, Debug};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, SmtpTransport, Transport};

use crate::config::{Smtp, SmtpSecurity};
use crate::notices::{Notice, Notices};

/// How long one step of the conversation may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Why a mail server cannot be used as it is described.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SmtpError {
    /// Codes and the password of the mail account would be readable on the way.
    #[error("a connection without TLS is for a mail server on this computer only")]
    Unprotected,
    /// The sender's address.
    #[error("the sender is not a mail address")]
    From,
    /// The file of certificates.
    #[error("the certificates in {path} cannot be read")]
    Certificates {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The name of the server, or the certificates, cannot be used for TLS.
    #[error("TLS to this server cannot be set up")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// Notices as mails.
pub(crate) struct SmtpNotices {
    transport: SmtpTransport,
    from: Mailbox,
    domain: String,
}

impl Debug for SmtpNotices {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SmtpNotices").finish_non_exhaustive()
    }
}

impl SmtpNotices {
    /// For this server. Nothing is sent so far.
    pub(crate) fn new(smtp: &Smtp) -> Result<Self, SmtpError> {
        let from: Mailbox = smtp.from.parse().map_err(|_| SmtpError::From)?;
        let domain = from.email.domain().to_owned();
        let tls = match smtp.security {
            SmtpSecurity::Tls => Tls::Wrapper(parameters(smtp)?),
            SmtpSecurity::StartTls => Tls::Required(parameters(smtp)?),
            SmtpSecurity::Plain if is_here(&smtp.host) => Tls::None,
            SmtpSecurity::Plain => return Err(SmtpError::Unprotected),
        };
        let mut builder = SmtpTransport::builder_dangerous(smtp.host.as_str())
            .port(smtp.port)
            .tls(tls)
            .timeout(Some(TIMEOUT))
            // This computer's own name is nobody's business.
            .hello_name(ClientId::Domain(domain.clone()));
        if let Some((user, password)) = &smtp.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(Self { transport: builder.build(), from, domain })
    }

    /// The mail. Its name is the notice's: who gets it twice can tell.
    fn mail(&self, notice: &Notice) -> io::Result<Message> {
        let to: Mailbox = notice.to.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(notice.at).unwrap_or(0));
        let id = format!("<{}@{}>", data_encoding::HEXLOWER.encode(&notice.id), self.domain);
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&notice.subject)
            .date(at)
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN)
            .body(notice.text.as_str().to_owned())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
    }
}

impl Notices for SmtpNotices {
    fn send(&self, notice: &Notice) -> io::Result<()> {
        // The answer of a server may repeat the address: only the kind of failure goes on to the log.
        let kind = |error: lettre::transport::smtp::Error| {
            if error.is_permanent() {
                io::ErrorKind::PermissionDenied
            } else if error.is_timeout() {
                io::ErrorKind::TimedOut
            } else if error.is_transient() {
                io::ErrorKind::ResourceBusy
            } else {
                io::ErrorKind::ConnectionAborted
            }
        };
        self.transport.send(&self.mail(notice)?).map(|_| ()).map_err(|error| kind(error).into())
    }
}

fn parameters(smtp: &Smtp) -> Result<TlsParameters, SmtpError> {
    let mut builder = TlsParameters::builder(smtp.host.clone());
    if let Some(path) = &smtp.ca_file {
        let failed = |source| SmtpError::Certificates { path: path.clone(), source };
        let pem = std::fs::read(path).map_err(failed)?;
        let certificate = Certificate::from_pem(&pem)
            .map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "not certificates in PEM form")))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(SmtpError::Tls)
}

/// Whether the name can only mean this computer.
fn is_here(host: &str) -> bool {
    host.parse::<IpAddr>().map_or(host == "localhost", |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn smtp(host: &str, security: SmtpSecurity) -> Smtp {
        let from = "Keyhaven <keys@example.org>".to_owned();
        Smtp { host: host.to_owned(), port: 25, security, credentials: None, from, ca_file: None }
    }

    #[test]
    fn without_tls_only_to_this_computer() {
        for host in ["127.0.0.1", "::1", "localhost"] {
            SmtpNotices::new(&smtp(host, SmtpSecurity::Plain)).unwrap();
        }
        for host in ["mail.example.org", "192.0.2.1", "127.0.0.1.example.org", "0.0.0.0", "localhost.example.org"] {
            let refused = SmtpNotices::new(&smtp(host, SmtpSecurity::Plain));
            assert!(matches!(refused, Err(SmtpError::Unprotected)), "{host}");
            SmtpNotices::new(&smtp(host, SmtpSecurity::StartTls)).unwrap();
        }
        let nameless = Smtp { from: "nobody".to_owned(), ..smtp("localhost", SmtpSecurity::Plain) };
        assert!(matches!(SmtpNotices::new(&nameless), Err(SmtpError::From)));
        let lost = Smtp { ca_file: Some("/nowhere/ca.pem".into()), ..smtp("localhost", SmtpSecurity::Tls) };
        assert!(matches!(SmtpNotices::new(&lost), Err(SmtpError::Certificates { .. })));
    }

    #[test]
    fn a_mail_holds_what_the_notice_holds_and_no_line_of_its_own() {
        let notices = SmtpNotices::new(&smtp("localhost", SmtpSecurity::Plain)).unwrap();
        let notice = |to: &str| Notice {
            id: [0xAB; 16],
            to: to.to_owned(),
            subject: "A subject".into(),
            text: Zeroizing::new("One line.\n\nAnother.\n".into()),
            at: 1_764_090_300_000,
        };
        let mail = String::from_utf8(notices.mail(&notice("ada@example.org")).unwrap().formatted()).unwrap();
        for line in [
            "From: Keyhaven <keys@example.org>",
            "To: ada@example.org",
            "Subject: A subject",
            "Date: Tue, 25 Nov 2025 17:05:00 +0000",
            "Message-ID: <abababababababababababababababab@example.org>",
            "One line.",
        ] {
            assert!(mail.lines().any(|found| found == line), "{line}\n{mail}");
        }
        for bad in ["ada@example.org\r\nBcc: eve@example.org", "nobody", "ada@example.org, eve@example.org", ""] {
            assert!(notices.mail(&notice(bad)).is_err(), "{bad:?}");
        }
    }
}

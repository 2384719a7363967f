//! The outbox: notices wait in the database, sealed, from the transaction of the act they tell of until they are sent.
//!
//! Sending goes on beside the answers: whether an address has an account does not show in how long one takes. A way out
//! that fails is tried again, later each time; nothing else waits for it. Several processes of the service share the
//! outbox: each notice is claimed by one of them, for a while. A notice is sent at least once, and twice only when a
//! process dies between handing it over and noting that.

use std::sync::Arc;
use std::time::Duration;

use secret::{SecretVec, random_bytes};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use vault_store::{Account, AccountId, Millis, OutgoingMail, QueuedMail, Wait};
use zeroize::Zeroizing;

use crate::app::{App, Inner};
use crate::clock::{DAY, HOUR, MINUTE, SECOND};
use crate::failure::{Failure, Fault};
use crate::notices::{Event, Notice, Notices};

/// How long a claim lasts; longer than any way out may take.
const CLAIM: Millis = 5 * MINUTE;
/// Pause after the first failure; doubles with each further one.
const FIRST_PAUSE: Millis = 5 * SECOND;
const LONGEST_PAUSE: Millis = HOUR;
/// Mailed codes are of no use after this.
const CODE_LIFETIME: Millis = 10 * MINUTE;
/// A notice that could not be sent for so long tells of nothing new; the audit trail has it.
const LIFETIME: Millis = 14 * DAY;
/// Notices on their way at the same time.
const AT_ONCE: usize = 8;
/// How often the outbox is looked at though nobody said that something was put in.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// A notice as it is sealed.
#[derive(Serialize)]
struct Written<'a> {
    to: &'a str,
    subject: &'a str,
    text: &'a str,
}

#[derive(Deserialize)]
struct Read {
    to: String,
    subject: String,
    text: String,
}

impl Inner {
    /// A notice for the owner, to be put into the outbox with the act; none where the service sends none.
    pub(crate) fn notice(&self, account: &Account, event: &Event) -> Result<Option<OutgoingMail>, Failure> {
        if !self.sends_notices() {
            return Ok(None);
        }
        self.sealed_notice(&account.email_norm, event).map(Some)
    }

    /// The same, for an address that may have no account: then it is never sent, and takes as long to make and to store.
    pub(crate) fn code_notice(&self, account: Option<&Account>, event: &Event) -> Result<OutgoingMail, Failure> {
        self.sealed_notice(account.map_or("", |account| &account.email_norm), event)
    }

    /// The same by the account's identifier.
    pub(crate) async fn notice_to(&self, account: AccountId, event: &Event) -> Result<Option<OutgoingMail>, Failure> {
        if !self.sends_notices() {
            return Ok(None);
        }
        match self.store.account(account).await? {
            Some(account) => self.notice(&account, event),
            None => Ok(None),
        }
    }

    /// What announces a delay, under the delay's own identifier: as long as it waits here the delay does not come true. It waits as
    /// long as the delay runs, whatever keeps it here.
    pub(crate) fn announcement(
        &self,
        account: &Account,
        event: &Event,
        wait: &Wait,
    ) -> Result<Option<OutgoingMail>, Failure> {
        if !self.sends_notices() {
            return Ok(None);
        }
        let mail = self.sealed_under(*wait.id.as_bytes(), &account.email_norm, event)?;
        Ok(Some(OutgoingMail { expires_at: Millis::MAX, ..mail }))
    }

    fn sealed_notice(&self, to: &str, event: &Event) -> Result<OutgoingMail, Failure> {
        let mut id = [0; 16];
        random_bytes(&mut id);
        self.sealed_under(id, to, event)
    }

    fn sealed_under(&self, id: [u8; 16], to: &str, event: &Event) -> Result<OutgoingMail, Failure> {
        let (subject, text) = event.text();
        let written = Written { to, subject, text: &text };
        let plain = Zeroizing::new(serde_json::to_vec(&written).map_err(|_| Fault::Made("a notice"))?);
        let sealed = self.keys.outbox_seal.seal(&context(&id), &plain)?;
        let created_at = self.now();
        let lifetime = if event.is_code() { CODE_LIFETIME } else { LIFETIME };
        self.mail_made.notify_one();
        Ok(OutgoingMail { id, sealed, created_at, expires_at: created_at + lifetime })
    }

    /// The notice in a row; `None` for one that is not to be sent.
    fn opened(&self, mail: &OutgoingMail) -> Result<Option<Notice>, Failure> {
        let plain: SecretVec = self.keys.outbox_seal.open(&context(&mail.id), &mail.sealed)?;
        let read: Read = serde_json::from_slice(plain.expose()).map_err(|_| Fault::Stored("notice"))?;
        let text = Zeroizing::new(read.text);
        let send = !read.to.is_empty() && mail.expires_at > self.now();
        Ok(send.then(|| Notice { id: mail.id, to: read.to, subject: read.subject, text, at: mail.created_at }))
    }
}

fn context(id: &[u8; 16]) -> Vec<u8> {
    [b"outbox_mail/", &id[..]].concat()
}

/// Sends what waits, as long as there is something to send and a way out. Returns without waiting for the slow ones.
pub(crate) async fn send_waiting(app: &App, under_way: &mut JoinSet<()>) -> Result<(), Failure> {
    while under_way.try_join_next().is_some() {}
    let Some(notices) = app.notices() else { return Ok(()) };
    let room = AT_ONCE.saturating_sub(under_way.len());
    if room == 0 {
        return Ok(());
    }
    let now = app.now();
    for queued in app.store.mail_to_send(now, i64::try_from(room).unwrap_or(1)).await? {
        if app.store.claim_mail(queued.mail.id, queued.tries, now, now + CLAIM).await? {
            let (app, notices) = (app.clone(), Arc::clone(&notices));
            under_way.spawn(async move {
                if let Err(failure) = send(&app, notices, &queued).await {
                    tracing::error!(cause = ?failure, "a notice could not be noted as sent or as failed");
                }
            });
        }
    }
    Ok(())
}

/// Sends one notice that was claimed.
async fn send(app: &App, notices: Arc<dyn Notices>, queued: &QueuedMail) -> Result<(), Failure> {
    let (id, tries) = (queued.mail.id, queued.tries + 1);
    let notice = match app.opened(&queued.mail) {
        Ok(Some(notice)) => notice,
        Ok(None) => return Ok(app.store.mail_done(id, tries).await?),
        Err(_) => {
            tracing::error!("a notice does not open: it was sealed with another key file");
            // Another process may have that file; what is of no use any more is forgotten by either.
            let over = queued.mail.expires_at <= app.now();
            let noted = match over {
                true => app.store.mail_done(id, tries).await,
                false => app.store.mail_failed(id, tries, app.now() + LONGEST_PAUSE).await,
            };
            return Ok(noted?);
        }
    };
    let sent = tokio::task::spawn_blocking(move || notices.send(&notice)).await;
    match sent {
        Ok(Ok(())) => Ok(app.store.mail_done(id, tries).await?),
        Ok(Err(error)) => {
            app.operation().metrics.happened(crate::metrics::Event::NoticeFailed);
            tracing::error!(kind = %error.kind(), tries, "a notice could not be sent; trying again later");
            Ok(app.store.mail_failed(id, tries, app.now() + pause(tries)).await?)
        }
        // The claim lapses by itself.
        Err(_) => Err(Fault::Made("a notice").into()),
    }
}

fn pause(tries: i64) -> Millis {
    let doublings = tries.saturating_sub(1).clamp(0, 16);
    (FIRST_PAUSE << doublings).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_an_hour() {
        let seconds: Vec<_> = [1, 2, 3, 9, 10, 11, 1000, i64::MAX].map(|tries| pause(tries) / SECOND).to_vec();
        assert_eq!(seconds, [5, 10, 20, 1280, 2560, 3600, 3600, 3600]);
    }
}

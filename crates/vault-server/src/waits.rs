//! Safety delays: how long each kind lasts, what is told meanwhile, and what happens when its time has come.
//!
//! A delay begins at the latest time the service has ever seen: a clock that was set back shortens none. It ends when the
//! clock says so, and the row says when that is; nothing here, and no command of the operator, can change the row's word.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use vault_protocol::backup_code::letters_of;
use vault_protocol::limits::CANCEL_LETTERS;
use vault_protocol::messages::WaitBegun;
use vault_protocol::problem::Code;
use vault_protocol::{CeremonyId, WaitId, audit, sha256};
use vault_store::{Account, Digest, GrantUse, Millis, NewWait, Refusal, Wait, WaitBegunBy, WaitKind};
use zeroize::Zeroizing;

use crate::app::{App, Inner};
use crate::audit::Act;
use crate::clock::{DAY, HOUR};
use crate::failure::Failure;
use crate::http::Caller;
use crate::notices::{Delay, Deleted, Event};
use crate::routes::normalise_email;

/// How often the owner is reminded of a reset.
const REMINDER: Millis = DAY;
/// How long before a deletion the owner is reminded of it.
const NOTICE_OF_DELETION: Millis = 3 * DAY;
/// How long a reset can be finished once its delay is over.
const GRACE: Millis = 7 * DAY;
/// Target of a delay before new keys that was begun, and has to be finished, with a second factor.
pub(crate) const WITH_FACTOR: &str = "factor";
/// The window of the limit on resets and new starts.
const MONTH: Millis = 30 * DAY;
/// Delays looked at in one go.
const AT_ONCE: i64 = 64;
const GROUP: usize = 4;

/// What a delay begins with.
pub(crate) struct Beginning<'a> {
    pub(crate) account: &'a Account,
    pub(crate) kind: WaitKind,
    /// On what, where it is on less than the account.
    pub(crate) target: String,
    pub(crate) by: WaitBegunBy,
    pub(crate) grant: Option<GrantUse>,
    pub(crate) ceremony: Option<(CeremonyId, &'static str)>,
}

impl Inner {
    /// The code that cancels a delay, as it is mailed. Made anew each time: the database has its hash only.
    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub(crate) fn cancel_code(&self, id: WaitId) -> Zeroizing<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.keys.cancel_key.expose()).expect("any length will do");
        mac.update(id.as_bytes());
        let text = Zeroizing::new(data_encoding::BASE32_NOPAD.encode(&mac.finalize().into_bytes()[..16]));
        let mut code = Zeroizing::new(String::with_capacity(CANCEL_LETTERS + CANCEL_LETTERS / GROUP));
        for (index, letter) in text.chars().enumerate() {
            if index > 0 && index % GROUP == 0 {
                code.push('-');
            }
            code.push(letter);
        }
        code
    }

    fn delay(&self, wait: &Wait, at: Millis) -> Delay {
        Delay { at, code: self.cancel_code(wait.id) }
    }

    fn length_of(&self, kind: WaitKind, target: &str) -> Millis {
        let delays = self.delays();
        match kind {
            WaitKind::NewKeys if target == WITH_FACTOR => i64::from(delays.reset_days) * DAY,
            // Who has nothing but the mail waits longer, and whoever has the account's things has longer to object.
            WaitKind::NewKeys => 2 * i64::from(delays.reset_days) * DAY,
            WaitKind::Off => i64::from(delays.off_hours) * HOUR,
            WaitKind::Reset => i64::from(delays.reset_days) * DAY,
            WaitKind::DeleteRecord | WaitKind::DeleteAccount => i64::from(delays.deletion_days) * DAY,
        }
    }
}

/// What the database knows a typed code by; `None` for what has not the form of one.
pub(crate) fn cancel_hash(typed: &str) -> Option<Digest> {
    letters_of::<CANCEL_LETTERS>(typed).map(|letters| sha256(&[b"vault/1/cancel", &letters]))
}

/// Begins a delay, with `act` and a notice of it; or gives the one of this kind that runs already.
pub(crate) async fn begin(app: &App, beginning: Beginning<'_>, act: Act) -> Result<WaitBegun, Failure> {
    let Beginning { account, kind, target, by, grant, ceremony } = beginning;
    if !app.sends_notices() {
        return Err(if is_deletion(kind) { Code::WaitNoMail } else { Code::FactorNoMail }.into());
    }
    if let Some(wait) = running(app, account, kind, &target).await? {
        if let Some(grant) = &grant {
            app.store.spend_grant(grant).await?;
        }
        return Ok(WaitBegun { wait_id: wait.id, due_at: wait.due_at });
    }
    let begun_at = app.store.latest_time(app.now()).await?;
    let due_at = begun_at + app.length_of(kind, &target);
    let wait = Wait {
        id: WaitId::new(),
        account_id: account.id,
        kind,
        target,
        begun_by: by,
        begun_at,
        due_at,
        next_at: first_look(kind, begun_at, due_at),
    };
    let delay = app.delay(&wait, due_at);
    let event = match kind {
        WaitKind::Off => Event::OffBegun(delay),
        WaitKind::Reset => Event::ResetBegun(delay, by == WaitBegunBy::Operator),
        WaitKind::NewKeys => Event::RenewBegun(delay, wait.target == WITH_FACTOR),
        WaitKind::DeleteRecord => Event::DeletionBegun(delay, Deleted::Key),
        WaitKind::DeleteAccount => Event::DeletionBegun(delay, Deleted::Account),
    };
    let mail = match kind {
        // These end by an act of their person; the others happen by themselves, and only if they were announced.
        WaitKind::Reset | WaitKind::NewKeys => app.notice(account, &event)?,
        _ => app.announcement(account, &event, &wait)?,
    };
    let act = on(act, &wait).telling(mail);
    let limit = is_come_back_for(kind).then(|| (begun_at - MONTH, app.limits().resets_per_month));
    let new = NewWait {
        cancel_hash: cancel_hash(&app.cancel_code(wait.id)).ok_or(crate::failure::Fault::Made("a code"))?,
        wait,
        limit,
        grant,
        ceremony: ceremony.map(|(id, kind)| (id, kind.to_owned())),
        now: app.now(),
    };
    match app.store.begin_wait(&new, &|head| act.link(head)).await {
        Ok(()) => Ok(WaitBegun { wait_id: new.wait.id, due_at }),
        // Another request was faster; the delay that runs is the answer to both.
        Err(vault_store::Error::Refused(Refusal::WaitRuns)) => {
            match running(app, account, kind, &new.wait.target).await? {
                Some(wait) => Ok(WaitBegun { wait_id: wait.id, due_at: wait.due_at }),
                None => Err(Code::ServerBusy.into()),
            }
        }
        // Two-factor went off meanwhile: there is nothing to delay.
        Err(vault_store::Error::Refused(Refusal::NotFound)) if kind != WaitKind::DeleteRecord => {
            Err(Code::WaitOver.into())
        }
        Err(vault_store::Error::Refused(Refusal::WaitQuota)) => Err(Failure::Wait(Code::LimitRate, MONTH)),
        Err(error) => Err(error.into()),
    }
}

/// Begins a reset in the name of whoever runs the service; gives when it can be finished.
pub(crate) async fn begin_by_operator(app: &App, email: &str) -> Result<Option<Millis>, Failure> {
    let Some(email_norm) = normalise_email(email) else { return Ok(None) };
    let account = app.store.account_by_email(&email_norm).await?.filter(|account| account.two_factor);
    let Some(account) = account else { return Ok(None) };
    let act = Act::by_operator(app.now(), audit::action::RESET_BEGUN);
    let (kind, by) = (WaitKind::Reset, WaitBegunBy::Operator);
    let beginning = Beginning { account: &account, kind, target: String::new(), by, grant: None, ceremony: None };
    Ok(Some(begin(app, beginning, act).await?.due_at))
}

/// The account's delay of this kind on this target, when one runs.
pub(crate) async fn running(
    app: &App,
    account: &Account,
    kind: WaitKind,
    target: &str,
) -> Result<Option<Wait>, Failure> {
    Ok(app.store.waits(account.id).await?.into_iter().find(|wait| wait.kind == kind && wait.target == target))
}

/// Whether a delay is begun by somebody who proved less than a sign-in, and who comes back once it is over.
fn is_come_back_for(kind: WaitKind) -> bool {
    matches!(kind, WaitKind::Reset | WaitKind::NewKeys)
}

fn is_deletion(kind: WaitKind) -> bool {
    matches!(kind, WaitKind::DeleteRecord | WaitKind::DeleteAccount)
}

/// When the service looks at a delay for the first time.
fn first_look(kind: WaitKind, begun_at: Millis, due_at: Millis) -> Millis {
    match kind {
        WaitKind::Off => due_at,
        WaitKind::Reset | WaitKind::NewKeys => due_at.min(begun_at + REMINDER),
        WaitKind::DeleteRecord | WaitKind::DeleteAccount if due_at - begun_at > NOTICE_OF_DELETION => {
            due_at - NOTICE_OF_DELETION
        }
        WaitKind::DeleteRecord | WaitKind::DeleteAccount => due_at,
    }
}

/// What an entry about a delay names: the delay, or what is deleted; nothing where that is the account.
fn on(act: Act, wait: &Wait) -> Act {
    match wait.kind {
        WaitKind::DeleteRecord => act.on(&wait.target),
        WaitKind::DeleteAccount => act,
        WaitKind::Off | WaitKind::Reset | WaitKind::NewKeys => act.on(wait.id),
    }
}

/// Cancels a delay; the owner is told.
pub(crate) async fn cancel(app: &App, wait: &Wait, act: Act) -> Result<(), Failure> {
    let act = on(act, wait).telling(app.notice_to(wait.account_id, &Event::DelayCancelled).await?);
    Ok(app.store.cancel_wait(wait, app.now(), &|head| act.link(head)).await?)
}

/// A second factor of the account was used: it is not lost, and a reset that says so ends.
pub(crate) async fn factor_was_used(
    app: &App,
    account: vault_store::AccountId,
    caller: &Caller,
) -> Result<(), Failure> {
    refute(app, account, caller, |kind| kind == WaitKind::Reset).await
}

/// Somebody signed in, or confirmed an act while signed in: neither the factors nor what opens the account are lost.
pub(crate) async fn owner_is_here(app: &App, account: vault_store::AccountId, caller: &Caller) -> Result<(), Failure> {
    refute(app, account, caller, is_come_back_for).await
}

/// Ends delays that say something is lost which was just used.
async fn refute(
    app: &App,
    account: vault_store::AccountId,
    caller: &Caller,
    of: fn(WaitKind) -> bool,
) -> Result<(), Failure> {
    for wait in app.store.waits(account).await?.iter().filter(|wait| of(wait.kind)) {
        let because = if wait.kind == WaitKind::NewKeys { "sign-in" } else { "factor" };
        let act = Act::by_owner(account, caller, app.now(), audit::action::WAIT_CANCELLED).because(because);
        match cancel(app, wait, act).await {
            Ok(()) | Err(Failure::Said(Code::WaitOver)) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// The account after a delay whose time has come: the one that asks for no second factor from then on.
pub(crate) async fn settled(app: &App, account: Account) -> Result<Account, Failure> {
    if !account.two_factor || account.off_at.is_none_or(|off_at| off_at > app.now()) {
        return Ok(account);
    }
    if let Some(wait) = running(app, &account, WaitKind::Off, "").await? {
        look_at(app, &wait).await?;
    }
    Ok(app.store.account(account.id).await?.ok_or(Code::AuthInvalid)?)
}

/// Looks at every delay whose time for it has come.
pub(crate) async fn attend(app: &App) -> Result<(), Failure> {
    let mut last = Ok(());
    for wait in app.store.waits_to_attend(app.now(), AT_ONCE).await? {
        // One that cannot be looked at must not hold up the others.
        if let Err(failure) = look_at(app, &wait).await {
            last = Err(failure);
        }
    }
    last
}

/// Does what a delay wants now. That another process was faster is no failure.
async fn look_at(app: &App, wait: &Wait) -> Result<(), Failure> {
    let now = app.now();
    let done = match wait.kind {
        WaitKind::Off if now >= wait.due_at => {
            let act = by_service(app, wait, audit::action::OFF_DONE, &Event::OffDone).await?;
            match app.store.finish_off(wait, now, &|head| act.link(head)).await {
                // Who was not told of it had no day to cancel it.
                Err(vault_store::Error::Refused(Refusal::Unannounced)) => {
                    let act = by_service(app, wait, audit::action::OFF_LAPSED, &Event::OffLapsed).await?;
                    app.store.lapse_wait(wait, now, &|head| act.link(head)).await
                }
                done => done,
            }
        }
        WaitKind::Reset | WaitKind::NewKeys => return come_back_for(app, wait).await,
        WaitKind::DeleteRecord => return deletion(app, wait, Deleted::Key).await,
        WaitKind::DeleteAccount => return deletion(app, wait, Deleted::Account).await,
        WaitKind::Off => Ok(()),
    };
    ended(done)
}

/// What a delay wants now whose person has to come back: reminders, then the word that it is over, then its end.
async fn come_back_for(app: &App, wait: &Wait) -> Result<(), Failure> {
    let now = app.now();
    let new_keys = wait.kind == WaitKind::NewKeys;
    if now < wait.due_at {
        let delay = app.delay(wait, wait.due_at);
        let event = if new_keys { Event::RenewRuns(delay) } else { Event::ResetRuns(delay) };
        let act = by_service(app, wait, audit::action::WAIT_REMINDED, &event).await?;
        return ended(app.store.attended(wait, wait.due_at.min(now + REMINDER), &|head| act.link(head)).await);
    }
    // Nobody was told so far that it is over: the time to finish it begins now, however long the service was down.
    if wait.next_at <= wait.due_at {
        let until = now + GRACE;
        let delay = app.delay(wait, until);
        let (action, event) = if new_keys {
            (audit::action::RENEW_DUE, Event::RenewDue(delay))
        } else {
            (audit::action::RESET_DUE, Event::ResetDue(delay))
        };
        let act = by_service(app, wait, action, &event).await?;
        return ended(app.store.attended(wait, until, &|head| act.link(head)).await);
    }
    let (action, event) = if new_keys {
        (audit::action::RENEW_LAPSED, Event::RenewLapsed)
    } else {
        (audit::action::RESET_LAPSED, Event::ResetLapsed)
    };
    let act = by_service(app, wait, action, &event).await?;
    ended(app.store.lapse_wait(wait, now, &|head| act.link(head)).await)
}

/// What the deletion of a record or an account wants now.
async fn deletion(app: &App, wait: &Wait, what: Deleted) -> Result<(), Failure> {
    let now = app.now();
    if now < wait.due_at {
        let event = Event::DeletionNear(app.delay(wait, wait.due_at), what);
        let act = by_service(app, wait, audit::action::DELETE_NEAR, &event).await?;
        return ended(app.store.attended(wait, wait.due_at, &|head| act.link(head)).await);
    }
    let act = by_service(app, wait, audit::action::DELETE_DONE, &Event::DeletionDone(what)).await?;
    ended(match app.store.finish_deletion(wait, now, &|head| act.link(head)).await {
        // Who was not told of it could not cancel it.
        Err(vault_store::Error::Refused(Refusal::Unannounced)) => {
            let act = by_service(app, wait, audit::action::DELETE_LAPSED, &Event::DeletionLapsed).await?;
            app.store.lapse_wait(wait, now, &|head| act.link(head)).await
        }
        done => done,
    })
}

/// That another process was faster is no failure.
fn ended(done: Result<(), vault_store::Error>) -> Result<(), Failure> {
    match done {
        Ok(()) | Err(vault_store::Error::Refused(Refusal::Wait)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn by_service(app: &App, wait: &Wait, action: &'static str, event: &Event) -> Result<Act, Failure> {
    let mail = app.notice_to(wait.account_id, event).await?;
    Ok(on(Act::by_service(app.now(), action), wait).telling(mail))
}

//! Audit entries: made inside the transaction of the act they tell of.

use secret::random_bytes;
use vault_protocol::FixedBytes;
use vault_protocol::audit::{Actor, AuditEntry, entry_hash};
use vault_store::{AccountId, ChainHead, DeviceId, Link, Millis, OutgoingMail};

use crate::http::Caller;

/// What happened; [`Act::link`] turns it into the next entry of a chain.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    at: Millis,
    actor: Actor,
    action: &'static str,
    target: String,
    outcome: &'static str,
    reason: Option<String>,
    net: String,
    client: String,
    mail: Option<OutgoingMail>,
}

impl Act {
    /// Something the owner did.
    pub(crate) fn by_owner(account: AccountId, caller: &Caller, at: Millis, action: &'static str) -> Self {
        Self::by("owner", account.to_string(), caller, at, action)
    }

    /// Something a device did.
    pub(crate) fn by_device(device: DeviceId, caller: &Caller, at: Millis, action: &'static str) -> Self {
        Self::by("device", device.to_string(), caller, at, action)
    }

    /// Something somebody did who did not prove to be the owner.
    pub(crate) fn by_unknown(caller: &Caller, at: Millis, action: &'static str) -> Self {
        Self::by("unknown", String::new(), caller, at, action).refused()
    }

    /// Something the service does by itself when its time has come.
    pub(crate) fn by_service(at: Millis, action: &'static str) -> Self {
        Self::by("server", String::new(), &Caller::nobody(), at, action)
    }

    /// Something that whoever runs the service did.
    pub(crate) fn by_operator(at: Millis, action: &'static str) -> Self {
        Self::by("operator", String::new(), &Caller::nobody(), at, action)
    }

    fn by(kind: &str, id: String, caller: &Caller, at: Millis, action: &'static str) -> Self {
        let actor = Actor { kind: kind.to_owned(), id };
        let (net, client) = (caller.net.clone(), caller.client.clone());
        Self { at, actor, action, target: String::new(), outcome: "done", reason: None, net, client, mail: None }
    }

    /// With a notice to the owner, in the same transaction.
    pub(crate) fn telling(mut self, mail: Option<OutgoingMail>) -> Self {
        self.mail = mail;
        self
    }

    /// By somebody who proved something, and less than a sign-in: it was done all the same.
    pub(crate) fn done(mut self) -> Self {
        self.outcome = "done";
        self
    }

    /// On what.
    pub(crate) fn on(mut self, target: impl ToString) -> Self {
        self.target = target.to_string();
        self
    }

    /// Why.
    pub(crate) fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// It was asked for and not done.
    pub(crate) fn refused(mut self) -> Self {
        self.outcome = "refused";
        self
    }

    /// The entry that follows `head`.
    pub(crate) fn link(&self, head: &ChainHead) -> Link {
        let mut salt = [0; 16];
        random_bytes(&mut salt);
        let seq = head.seq + 1;
        let entry = AuditEntry {
            seq: u64::try_from(seq).unwrap_or(0),
            prev: FixedBytes(head.hash),
            at: self.at,
            actor: self.actor.clone(),
            action: self.action.to_owned(),
            target: self.target.clone(),
            outcome: self.outcome.to_owned(),
            reason: self.reason.clone(),
            net: self.net.clone(),
            client: self.client.clone(),
            salt: FixedBytes(salt),
        };
        // A struct of numbers and texts: writing it as JSON cannot fail.
        let body = serde_json::to_vec(&entry).unwrap_or_default();
        Link { seq, prev: head.hash, hash: entry_hash(&body), body, mail: self.mail.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vault_protocol::Bytes;
    use vault_protocol::verify::audit_chain;

    #[test]
    fn entries_make_a_chain_that_clients_accept() {
        let caller = Caller { net: "192.0.2.0/24".into(), limit_net: String::new(), client: "test/1".into() };
        let mut head = ChainHead { seq: 0, hash: [0; 32] };
        let mut entries = Vec::new();
        for action in ["signup", "login", "reveal"] {
            let link = Act::by_owner(AccountId::new(), &caller, 7, action).on("x").because("drill").link(&head);
            head = ChainHead { seq: link.seq, hash: link.hash };
            entries.push(Bytes::from(link.body));
        }
        let (parsed, hash) = audit_chain(&entries).unwrap();
        assert_eq!((parsed.len(), hash), (3, head.hash));
        entries.remove(1);
        assert_eq!(audit_chain(&entries).unwrap_err(), 2);
    }
}

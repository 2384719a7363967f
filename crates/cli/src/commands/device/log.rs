//! What the service of a computer tells: one line for each thing that happens.
//!
//! Lines for people go to standard error. Under systemd they carry the priority in the form that its journal reads, and no
//! time, which the journal adds. With `--json` each is a document on one line of standard output instead.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{document_text, shown};

/// Priorities of syslog.
const WARNING: u8 = 4;
const INFORMATION: u8 = 6;
const DETAIL: u8 = 7;

pub(super) struct Log {
    json: bool,
    journal: bool,
}

impl Log {
    pub(super) fn new(json: bool) -> Self {
        Self { json, journal: std::env::var_os("JOURNAL_STREAM").is_some() }
    }

    pub(super) fn info(&self, event: &str, document: &Value, text: &str) {
        self.say(INFORMATION, event, document, text);
    }

    pub(super) fn warn(&self, event: &str, document: &Value, text: &str) {
        self.say(WARNING, event, document, text);
    }

    /// Of interest to programs and to who looks for a fault.
    pub(super) fn debug(&self, event: &str, document: &Value, text: &str) {
        if self.json || self.journal {
            self.say(DETAIL, event, document, text);
        }
    }

    pub(super) fn failure(&self, event: &str, failure: &Failure) {
        let document =
            json!({ "error": failure.error, "cause": failure.cause, "hint": failure.hint, "code": failure.code });
        let mut text = failure.error.clone();
        for more in [&failure.cause, &failure.hint].into_iter().flatten() {
            text.push_str("; ");
            text.push_str(more);
        }
        self.say(WARNING, event, &document, &text);
    }

    fn say(&self, priority: u8, event: &str, document: &Value, text: &str) {
        // There is nobody to tell when the line is gone.
        if self.json {
            let mut line = json!({ "event": event, "priority": priority });
            if let (Some(line), Some(fields)) = (line.as_object_mut(), document.as_object()) {
                line.extend(fields.clone());
            }
            let mut out = io::stdout().lock();
            let _ = writeln!(out, "{}", document_text(&line, false)).and_then(|()| out.flush());
            return;
        }
        // One thing is one line, whatever names of files and errors hold.
        let text = shown(&text.replace(['\n', '\r', '\t'], " "));
        let mut err = io::stderr().lock();
        let _ = if self.journal {
            writeln!(err, "<{priority}>{text}")
        } else if priority == WARNING {
            writeln!(err, "keyhaven: warning: {text}")
        } else {
            writeln!(err, "keyhaven: {text}")
        };
    }
}

//! How advice against two-factor is worded, in English and in German.
//!
//! Better a sentence too many than one too few: what only reads like advice goes into the list. What says plainly that it
//! must not be done passes.

use super::{COMMA, STOP};

type Word = (usize, String);

/// Words between the parts of a wording: "disable, for a moment, your account's two-factor".
const MAX_BETWEEN: usize = 6;
/// Words before the verb in which a negation is looked for.
const NEGATION_REACH: usize = 8;

/// Verbs that end it by themselves.
const ENDING: &[&str] = &[
    "disable",
    "disables",
    "disabling",
    "disabled",
    "deactivate",
    "deactivates",
    "deactivating",
    "deactivated",
    "bypass",
    "bypasses",
    "bypassing",
    "skip",
    "skips",
    "skipping",
    "suspend",
    "suspends",
    "suspending",
    "pause",
    "pauses",
    "pausing",
    "circumvent",
    "circumvents",
    "circumventing",
    "unset",
    "uninstall",
    "deaktivieren",
    "deaktiviere",
    "umgehen",
    "umgehe",
    "überspringen",
    "überspringe",
    "aussetzen",
];
/// Verbs that end it together with a word behind them or behind the subject.
const SWITCH: &[&str] = &[
    "turn",
    "turns",
    "turning",
    "turned",
    "switch",
    "switches",
    "switching",
    "switched",
    "set",
    "sets",
    "setting",
    "put",
    "leave",
    "leaving",
    "keep",
    "keeping",
    "toggle",
    "toggling",
];
const OFF: &[&str] = &["off"];
const GERMAN_SWITCH: &[&str] = &["schalten", "schalte", "schaltet", "stellen", "stelle", "stellt"];
const GERMAN_OFF: &[&str] = &["aus", "ab"];
/// Verbs that are said of one factor as well, which is no advice against two-factor.
const TAKING_AWAY: &[&str] = &[
    "remove",
    "removes",
    "removing",
    "removed",
    "delete",
    "deletes",
    "deleting",
    "drop",
    "dropping",
    "entfernen",
    "entferne",
    "löschen",
    "lösche",
];
/// Phrases that end it.
const PHRASES: &[&[&str]] = &[
    &["opt", "out", "of"],
    &["opting", "out", "of"],
    &["get", "rid", "of"],
    &["getting", "rid", "of"],
    &["stop", "using"],
    &["do", "without"],
    &["go", "without"],
    &["verzichten", "sie", "auf"],
    &["verzichte", "auf"],
];
/// Behind the subject: German verbs in their ground form.
const BEHIND: &[&str] = &[
    "ausschalten",
    "auszuschalten",
    "abschalten",
    "abzuschalten",
    "ausstellen",
    "abstellen",
    "abzustellen",
    "deaktivieren",
    "umgehen",
    "aussetzen",
    "überspringen",
];
const DONE_TO: &[&str] = &["disabled", "deactivated", "bypassed", "skipped", "suspended", "paused", "removed"];
const GERMAN_DONE_TO: &[&str] =
    &["ausgeschaltet", "abgeschaltet", "abgestellt", "deaktiviert", "umgangen", "ausgesetzt"];
/// What makes a statement about it an advice.
const OUGHT: &[&str] =
    &["must", "should", "needs", "need", "has", "have", "ought", "can", "could", "may", "might", "please"];

const NEGATIONS: &[&str] = &[
    "never", "not", "no", "nothing", "nobody", "none", "neither", "nor", "cannot", "can't", "don't", "doesn't",
    "won't", "mustn't", "without", "nie", "niemals", "nicht", "kein", "keine", "keinen", "keiner", "niemand", "ohne",
];
/// Words that may stand between a negation and the verb it is about; behind any other word the negation is about that one:
/// "if it does not work, turn ..." is advice.
const BETWEEN_NEGATION: &[&str] = &[
    "to",
    "be",
    "been",
    "being",
    "ever",
    "need",
    "needs",
    "have",
    "has",
    "ask",
    "asks",
    "asked",
    "asking",
    "advise",
    "advises",
    "advised",
    "advising",
    "tell",
    "tells",
    "told",
    "telling",
    "you",
    "them",
    "us",
    "anyone",
    "anybody",
    "anyone's",
    "people",
    "must",
    "can",
    "could",
    "should",
    "may",
    "will",
    "would",
    "text",
    "texts",
    "of",
    "ours",
    "or",
    "sie",
    "zu",
    "person",
    "message",
    "that",
    "which",
    "the",
    "a",
    "and",
    "do",
    "does",
    "recommend",
    "recommends",
    "suggest",
    "suggests",
];

/// How many words from `start` on are advice, when they are.
pub(super) fn advice_at(words: &[Word], start: usize) -> Option<usize> {
    let sentence = Sentence { words, start };
    let english = verb_first(&sentence).map(|end| (end, false));
    let (end, negated_inside) = english
        .or_else(|| german_verb_first(&sentence).map(|end| (end, true)))
        .or_else(|| subject_first(&sentence).map(|end| (end, true)))?;
    let negated = sentence.is_negated_before() || negated_inside && sentence.is_negated_inside(end);
    if negated { None } else { Some(end + 1) }
}

/// A place in a text, and what is around it in the same sentence.
struct Sentence<'a> {
    words: &'a [Word],
    start: usize,
}

impl Sentence<'_> {
    fn word(&self, index: usize) -> &str {
        self.words.get(self.start + index).map_or(STOP, |(_, word)| word.as_str())
    }

    /// The first index from `from` on where `wanted` holds.
    fn find(&self, from: usize, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        (from..=from + MAX_BETWEEN).take_while(|index| self.word(*index) != STOP).find(|index| wanted(*index))
    }

    fn subject(&self, from: usize) -> Option<usize> {
        self.find(from, |index| is_two_factor(self.word(index), self.word(index + 1)))
    }

    fn any(&self, from: usize, wanted: &[&str]) -> Option<usize> {
        self.find(from, |index| wanted.contains(&self.word(index)))
    }

    /// As German has it, and the passive: "schalten Sie 2FA nie aus", "2FA must never be disabled".
    fn is_negated_inside(&self, end: usize) -> bool {
        (0..=end).any(|index| NEGATIONS.contains(&self.word(index)))
    }

    /// A negation of the verb itself.
    fn is_negated_before(&self) -> bool {
        let before = self.words[..self.start].iter().rev().take(NEGATION_REACH).map(|(_, word)| word.as_str());
        let mut before = before.take_while(|word| ![STOP, COMMA].contains(word));
        before.find(|word| !BETWEEN_NEGATION.contains(word)).is_some_and(|word| NEGATIONS.contains(&word))
    }
}

/// "Disable 2FA", "turn two-factor off", "opt out of 2FA".
fn verb_first(sentence: &Sentence<'_>) -> Option<usize> {
    let first = sentence.word(0);
    if ENDING.contains(&first) {
        return sentence.subject(1);
    }
    if TAKING_AWAY.contains(&first) {
        return sentence.find(1, |index| names_two_factor(sentence.word(index)));
    }
    if SWITCH.contains(&first) {
        return switched(sentence, OFF);
    }
    let phrase = PHRASES.iter().find(|phrase| (0..phrase.len()).all(|index| sentence.word(index) == phrase[index]))?;
    sentence.subject(phrase.len())
}

/// "Schalten Sie 2FA ab".
fn german_verb_first(sentence: &Sentence<'_>) -> Option<usize> {
    if GERMAN_SWITCH.contains(&sentence.word(0)) { switched(sentence, GERMAN_OFF) } else { None }
}

/// "Off" directly behind the verb, or somewhere behind the subject.
fn switched(sentence: &Sentence<'_>, off: &[&str]) -> Option<usize> {
    if off.contains(&sentence.word(1)) {
        return sentence.subject(2);
    }
    let subject = sentence.subject(1)?;
    let end = sentence.any(subject + 1, off)?;
    // "Keep two-factor on: cancel what `off` began."
    if (subject..end).any(|index| ["on", "an"].contains(&sentence.word(index))) { None } else { Some(end) }
}

/// "2FA should be disabled", "two-factor has to be turned off", "Zwei-Faktor-Anmeldung ausschalten".
fn subject_first(sentence: &Sentence<'_>) -> Option<usize> {
    if !is_two_factor(sentence.word(0), sentence.word(1)) {
        return None;
    }
    if let Some(end) = sentence.any(1, BEHIND) {
        return Some(end);
    }
    if let Some(end) = sentence.any(1, GERMAN_DONE_TO)
        && sentence.word(end + 1) == "werden"
    {
        return Some(end + 1);
    }
    let be = sentence.any(sentence.any(1, OUGHT)?, &["be", "get"])?;
    let end = sentence
        .find(be + 1, |index| DONE_TO.contains(&sentence.word(index)) || SWITCH.contains(&sentence.word(index)))?;
    if DONE_TO.contains(&sentence.word(end)) { Some(end) } else { sentence.any(end + 1, OFF) }
}

fn is_two_factor(word: &str, next: &str) -> bool {
    let factor = |word: &str| ["factor", "factors", "step", "faktor", "faktors"].contains(&word);
    names_two_factor(word)
        || (matches!(word, "two" | "second" | "2" | "zweiten" | "zweite" | "zweiter") && factor(next))
}

/// One word that means it, also as the first part of a compound.
fn names_two_factor(word: &str) -> bool {
    const NAMES: [&str; 13] = [
        "two-factor",
        "twofactor",
        "2fa",
        "two-step",
        "2-step",
        "2-factor",
        "mfa",
        "multi-factor",
        "multifactor",
        "second-factor",
        "zwei-faktor",
        "zweifaktor",
        "zwei-stufen",
    ];
    NAMES.iter().any(|name| word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
        || word.starts_with("zweifaktor")
}

#[cfg(test)]
mod tests {
    use super::super::check;

    #[track_caller]
    fn assert_advice(text: &str, expected: usize) {
        assert_eq!(check("a.md", text, &mut []).len(), expected, "{text}");
    }

    #[test]
    fn advice_is_found_in_every_wording() {
        for text in [
            "If it fails, turn off two-factor authentication first.",
            "It did not work: you should turn your\n/// account's two-factor\n/// sign-in off.",
            "<p>Please <b>disable</b> 2FA, then try again.</p>",
            "Switching MFA off helps.",
            "let hint = \"disable, for a moment,\\n2FA\";",
            "Leave two-factor off while keys are saved.",
            "Set 2FA to off.",
            "You can bypass the second factor here.",
            "Skip two-step verification for now.",
            "Opt out of 2FA in the settings.",
            "Remove 2FA from the account and add it again later.",
            "Stop using two-factor for this account.",
            "2FA must be disabled before keys can be saved.",
            "Two-factor authentication has to be turned off first.",
            "Two-factor should be temporarily switched off.",
            "Disable two\u{2011}factor.",
            "If saving does not work turn off 2FA.",
            "If it is not saved, disable 2FA.",
        ] {
            assert_advice(text, 1);
        }
        assert_advice("Try to disable 2FA and deactivate the second factor.", 2);
    }

    #[test]
    fn advice_is_found_in_german() {
        for text in [
            "Schalten Sie die Zwei-Faktor-Anmeldung aus.",
            "Stellen Sie kurz die 2FA ab, dann klappt es.",
            "Deaktivieren Sie den zweiten Faktor.",
            "Bitte die Zwei-Faktor-Authentisierung vorübergehend ausschalten.",
            "Es hilft, 2FA abzuschalten.",
            "Die Zweifaktoranmeldung muss dazu deaktiviert werden.",
            "Verzichten Sie auf die 2FA.",
            "Umgehen Sie den zweiten Faktor.",
        ] {
            assert_advice(text, 1);
        }
    }

    #[test]
    fn the_opposite_passes() {
        for text in [
            "Never turn two-factor off.",
            "You do not need to disable 2FA.",
            "No text of ours asks you to turn two-factor off.",
            "Two-factor must never be turned off for this.",
            "It works without disabling 2FA.",
            "Nobody has to deactivate the second factor.",
            "Schalten Sie die Zwei-Faktor-Anmeldung nie aus.",
            "Die Zwei-Faktor-Anmeldung nicht ausschalten.",
        ] {
            assert_advice(text, 0);
        }
    }

    #[test]
    fn other_sentences_pass() {
        for text in [
            "Turn two-factor on. Then turn the machine off.",
            "The device is disabled. The account keeps two-factor sign-in.",
            "Keep two-factor on: cancel what off began.",
            "Two-factor stays on while keys are saved.",
            "Remove the second factor that is lost; another one stays.",
            "Saving needs no session and no second factor.",
            "Fügen Sie einen zweiten Faktor hinzu, und schalten Sie dann den Rechner aus.",
        ] {
            assert_advice(text, 0);
        }
    }
}

//! The promise that no text of ours advises turning two-factor off.
//!
//! Texts are read as a stream of words, so that line breaks, comment markers and a few words in between do not hide the
//! advice. Sentences that must name the act, such as the promise itself or the description of the owner's right, stand
//! in a list with their reasons; an entry that nothing needs any more is a breach too.

/// The list of sentences that may name the act. One a line: file, words of the sentence, reason, parted by ` | `.
pub(super) const ALLOWED_FILE: &str = "xtask/two-factor-texts.txt";

/// Words between the verb and what it is about: "disable your account's two-factor".
const MAX_BETWEEN: usize = 4;
/// Stands for the end of a sentence.
const STOP: &str = ".";
/// Words told before and behind the place, to find the sentence.
const CONTEXT: usize = 8;

/// A sentence that may stand in a file.
pub(super) struct Allowed {
    file: String,
    words: String,
    used: bool,
}

/// Reads the list; lines that cannot be read are breaches.
pub(super) fn parse_allowed(text: &str) -> (Vec<Allowed>, Vec<String>) {
    let mut allowed = Vec::new();
    let mut breaches = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(" | ").map(str::trim).collect();
        match fields[..] {
            [file, words, reason] if !words.is_empty() && !reason.is_empty() => {
                allowed.push(Allowed { file: file.to_owned(), words: joined(&self::words(words)), used: false });
            }
            _ => breaches.push(format!("{ALLOWED_FILE}: not `file | words | reason`: {line}")),
        }
    }
    (allowed, breaches)
}

/// Entries that no text needs.
pub(super) fn unused(allowed: &[Allowed]) -> impl Iterator<Item = String> {
    allowed
        .iter()
        .filter(|entry| !entry.used)
        .map(|entry| format!("{ALLOWED_FILE}: nothing in {} needs the entry {:?}", entry.file, entry.words))
}

/// The places in a text that advise against two-factor, told with their line.
pub(super) fn check(file: &str, text: &str, allowed: &mut [Allowed]) -> Vec<String> {
    let words = words(text);
    let mut breaches = Vec::new();
    let mut start = 0;
    while start < words.len() {
        let Some(length) = advice_at(&words[start..]) else {
            start += 1;
            continue;
        };
        let around = start.saturating_sub(CONTEXT)..(start + length + CONTEXT).min(words.len());
        let sentence = joined(&words[around]);
        match allowed.iter_mut().find(|entry| entry.file == file && sentence.contains(&entry.words)) {
            Some(entry) => entry.used = true,
            None => breaches.push(format!("{file}:{}: may advise against two-factor: {sentence}", words[start].0)),
        }
        start += length;
    }
    breaches
}

fn joined(words: &[(usize, String)]) -> String {
    words.iter().map(|(_, word)| word.as_str()).collect::<Vec<_>>().join(" ")
}

/// Words with their line numbers; comment markers, tags and most punctuation fall away, the end of a sentence stays.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut word = String::new();
        for character in line.to_lowercase().chars().chain([' ']) {
            if character.is_alphanumeric() || matches!(character, '-' | '_' | '\'') {
                word.push(character);
                continue;
            }
            if !word.is_empty() {
                words.push((index + 1, std::mem::take(&mut word)));
            }
            if matches!(character, '.' | '!' | '?' | ';') {
                words.push((index + 1, STOP.to_owned()));
            }
        }
    }
    words
}

/// How many words from the first on are advice, when they are.
fn advice_at(words: &[(usize, String)]) -> Option<usize> {
    const SWITCHES: [&str; 8] = ["turn", "turns", "turning", "turned", "switch", "switches", "switching", "switched"];
    const ENDINGS: [&str; 8] =
        ["disable", "disables", "disabling", "disabled", "deactivate", "deactivates", "deactivating", "deactivated"];
    let word = |index: usize| words.get(index).map_or(STOP, |(_, word)| word.as_str());
    // The first index from `from` on, in the same sentence, where the subject stands or the word `off`.
    let find = |from: usize, wanted: fn(&str, &str) -> bool| {
        (from..=from + MAX_BETWEEN)
            .take_while(|index| word(*index) != STOP)
            .find(|index| wanted(word(*index), word(index + 1)))
    };
    let end = match word(0) {
        first if ENDINGS.contains(&first) => find(1, is_two_factor)?,
        first if SWITCHES.contains(&first) && word(1) == "off" => find(2, is_two_factor)?,
        first if SWITCHES.contains(&first) => find(find(1, is_two_factor)? + 1, |word, _| word == "off")?,
        _ => return None,
    };
    Some(end + 1)
}

fn is_two_factor(word: &str, next: &str) -> bool {
    const NAMES: [&str; 7] = ["two-factor", "twofactor", "2fa", "two-step", "mfa", "multi-factor", "second-factor"];
    NAMES.contains(&word) || (matches!(word, "two" | "second") && matches!(next, "factor" | "factors" | "step"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_advice(text: &str, expected: usize) {
        assert_eq!(check("a.md", text, &mut []).len(), expected, "{text}");
    }

    #[test]
    fn advice_is_found_in_every_wording() {
        assert_advice("If it fails, turn off two-factor authentication first.", 1);
        assert_advice("It did not work: you should turn your\n/// account's two-factor\n/// sign-in off.", 1);
        assert_advice("<p>Please <b>disable</b> 2FA, then try again.</p>", 1);
        assert_advice("Try to disable 2FA and deactivate the second factor.", 2);
        assert_advice("Switching MFA off helps.", 1);
    }

    #[test]
    fn other_sentences_pass() {
        assert_advice("Turn two-factor on. Then turn the machine off.", 0);
        assert_advice("The device is disabled. The account keeps two-factor sign-in.", 0);
        assert_advice("Two-factor stays on while keys are saved.", 0);
    }

    #[test]
    fn listed_sentences_pass_and_stale_entries_do_not() {
        let sentence = "No text of ours advises turning two-factor off.";
        let list = "a.md | No text of ours advises | the promise\nb.md | gone | no longer there\nbroken line\n";
        let (mut allowed, breaches) = parse_allowed(list);
        assert_eq!(breaches.len(), 1);
        assert_eq!(check("a.md", sentence, &mut allowed), [""; 0]);
        assert_eq!(check("c.md", sentence, &mut allowed).len(), 1, "another file");
        assert_eq!(unused(&allowed).count(), 1);
    }
}

//! The promise that no text of ours advises turning two-factor off.
//!
//! Texts are read as a stream of words, so that line breaks, comment markers and a few words in between do not hide the
//! advice; [`wordings`] knows how it is worded in English and German, and which words turn it into its opposite. Sentences that must name the act, such as the promise itself or the description of the owner's right, stand
//! in a list with their reasons; an entry that nothing needs any more is a breach too.

mod wordings;

/// The list of sentences that may name the act. One a line: file, words of the sentence, reason, parted by ` | `; `*` as the
/// words stands for the whole file.
pub(super) const ALLOWED_FILE: &str = "xtask/two-factor-texts.txt";

/// Stands for the end of a sentence.
const STOP: &str = ".";
/// Stands for the end of a clause.
const COMMA: &str = ",";
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
        let Some(length) = wordings::advice_at(&words, start) else {
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

/// Words with their line numbers; comment markers, tags and most punctuation fall away, ends of clauses and sentences stay.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        // Hyphens that do not break, and line breaks inside of strings.
        let line =
            line.to_lowercase().replace(['\u{2010}', '\u{2011}'], "-").replace("\\n", " ").replace("&nbsp;", " ");
        let mut word = String::new();
        for character in line.chars().chain([' ']) {
            if character.is_alphanumeric() || matches!(character, '-' | '_' | '\'') {
                word.push(character);
                continue;
            }
            if !word.is_empty() {
                words.push((index + 1, std::mem::take(&mut word)));
            }
            match character {
                '.' | '!' | '?' | ';' => words.push((index + 1, STOP.to_owned())),
                ',' => words.push((index + 1, COMMA.to_owned())),
                _ => {}
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_sentences_pass_and_stale_entries_do_not() {
        let sentence = "The owner may turn two-factor off.";
        let list = "a.md | The owner may turn | the owner's right\nb.md | gone | no longer there\nbroken line\n";
        let (mut allowed, breaches) = parse_allowed(list);
        assert_eq!(breaches.len(), 1);
        assert_eq!(check("a.md", sentence, &mut allowed), [""; 0]);
        assert_eq!(check("c.md", sentence, &mut allowed).len(), 1, "another file");
        assert_eq!(unused(&allowed).count(), 1);
    }
}

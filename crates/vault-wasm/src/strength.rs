//! How good a password is, from 0 (the first that are tried) to 4. An estimate of guesses that counts what people repeat,
//! type in a row or take from the account; the dictionaries of a full estimator are larger than the whole client.

/// Beginnings of what everybody tries first, in lower case.
const COMMON: &[&str] = &[
    "password",
    "passwort",
    "kennwort",
    "qwerty",
    "qwertz",
    "azerty",
    "letmein",
    "welcome",
    "willkommen",
    "admin",
    "hallo",
    "iloveyou",
    "monkey",
    "dragon",
    "football",
    "fussball",
    "sommer",
    "winter",
    "summer",
    "secret",
    "geheim",
    "bitlocker",
    "keyhaven",
    "master",
    "schatz",
    "abc",
    "123",
    "000",
    "111",
];
/// Rows of keys and letters that are typed along.
const ROWS: &[&str] =
    &["abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm"];

/// Score from 0 to 4; below 3 a password should not protect keys. `email` is the account's: its parts count for nothing.
pub(crate) fn score(password: &str, email: &str) -> u8 {
    let lower = password.to_lowercase();
    let mut units = 0.0_f64;
    let mut rest = lower.as_str();
    let parts: Vec<String> = email
        .to_lowercase()
        .split(['@', '.', '-', '_', '+'])
        .filter(|part| part.len() > 2)
        .map(str::to_owned)
        .collect();
    let mut before = None;
    while let Some(letter) = rest.chars().next() {
        let known = COMMON.iter().copied().chain(parts.iter().map(String::as_str)).find(|word| rest.starts_with(word));
        if let Some(word) = known {
            // One of some thousand words that come first, however long it is.
            units += 10.0;
            rest = &rest[word.len()..];
            before = None;
            continue;
        }
        units += match before {
            Some(last) if last == letter || follows(last, letter) => 1.0,
            _ => bits(letter),
        };
        before = Some(letter);
        rest = &rest[letter.len_utf8()..];
    }
    // Letters in both cases and signs in the middle add a little; people put them where they are expected.
    if lower != password && !password.chars().next().is_some_and(char::is_uppercase) {
        units += 4.0;
    }
    match units {
        units if units < 20.0 => 0,
        units if units < 32.0 => 1,
        units if units < 45.0 => 2,
        units if units < 60.0 => 3,
        _ => 4,
    }
}

fn follows(last: char, letter: char) -> bool {
    ROWS.iter().any(|row| {
        let places = (row.find(last), row.find(letter));
        matches!(places, (Some(one), Some(other)) if one.abs_diff(other) == 1)
    })
}

/// What a letter adds that nothing before foretold: less than it could, since words are not random.
fn bits(letter: char) -> f64 {
    match letter {
        'a'..='z' => 3.0,
        '0'..='9' => 2.8,
        ' ' => 1.0,
        _ => 4.5,
    }
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn what_is_tried_first_scores_low_and_long_phrases_score_high() {
        for bad in [
            "",
            "password",
            "Passwort1",
            "qwertzuiop",
            "aaaaaaaaaaaaaaaa",
            "12345678901234567890",
            "ada1990",
            "hallo123",
        ] {
            assert!(score(bad, "ada@example.org") <= 1, "{bad}");
        }
        for fair in ["correct horse", "Tr0ub4dor&3"] {
            assert!((1..=3).contains(&score(fair, "ada@example.org")), "{fair} {}", score(fair, "a@b"));
        }
        for good in ["correct horse battery staple", "grüne Teekanne fliegt nach Kiel", "x7#Qp!2vLm9@rTz4&wYb"] {
            assert_eq!(score(good, "ada@example.org"), 4, "{good}");
        }
        assert!(score("ada.example.org", "ada@example.org") <= 1, "the address is no secret");
    }
}

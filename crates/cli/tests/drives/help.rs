//! Help.

use crate::harness::{Bench, Ran, keyhaven};

/// The commands of a help text: the first word of the lines below `Commands:`.
pub(crate) fn commands(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let list = list.split("\n\n").next().unwrap_or_default();
    let words = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    words.filter_map(|line| line.split_whitespace().next()).filter(|word| *word != "help").map(str::to_owned).collect()
}

fn check(path: &[String]) -> usize {
    let help = Ran::new(keyhaven().args(path).arg("--help").output().unwrap()).text();
    let below = commands(&help);
    if below.is_empty() {
        assert!(help.contains(&format!("Example: keyhaven {}", path.join(" "))), "{path:?}:\n{help}");
        return 1;
    }
    below.into_iter().map(|command| check(&[path, &[command]].concat())).sum()
}

#[test]
fn every_command_has_help_with_a_real_example() {
    assert!(check(&[]) > 20);
}

#[test]
fn unknown_words_could_not_be_tried() {
    let bench = Bench::new();
    for words in ["frobnicate", "info", "info --frobnicate x", "verify d.img --password-file a --startup-key b"] {
        assert_eq!(bench.run(words).status, 2, "{words}");
    }
    assert!(bench.run("--version").text().starts_with("keyhaven "));
}

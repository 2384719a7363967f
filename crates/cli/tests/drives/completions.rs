//! Completions: each shell reads its own, and bash completes with them. PowerShell is not at hand: its script is made only.

use std::process::Command;

use crate::harness::Bench;

fn script(bench: &Bench, shell: &str) -> String {
    let script = bench.run(&format!("completions {shell}")).text();
    bench.file(shell, script.as_bytes());
    script
}

#[test]
fn shells_read_their_completions() {
    if !testkit::programs(&["bash", "zsh", "fish"]) {
        return;
    }
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        script(&bench, shell);
        let output = Command::new(shell).arg("-n").arg(bench.path(shell)).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
    }
    assert!(script(&bench, "powershell").contains("Register-ArgumentCompleter"));
    assert_eq!(bench.run("completions tcsh").status, 2);
}

/// What bash offers for a command line whose last word is not finished.
fn offered(bench: &Bench, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let current = words.len() - 1;
    let (word, before) = (words[current], words[current - 1]);
    let run = format!(
        "source ./bash; COMP_WORDS=({}); COMP_CWORD={current}; COMP_LINE='{line}'; COMP_POINT={}; \
         _keyhaven keyhaven '{word}' '{before}' 2>/dev/null; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        line.len()
    );
    let output = Command::new("bash").current_dir(bench.folder.path()).args(["--norc", "-c", &run]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut offered: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    offered.sort();
    offered
}

#[test]
fn bash_completes_commands_options_choices_and_files() {
    if !testkit::programs(&["bash"]) {
        return;
    }
    let bench = Bench::new();
    script(&bench, "bash");
    bench.file("stick.img", b"");
    assert_eq!(offered(&bench, "keyhaven cre"), ["create"]);
    assert_eq!(offered(&bench, "keyhaven t"), ["tar", "tree"]);
    assert_eq!(offered(&bench, "keyhaven keys sh"), ["show"]);
    assert_eq!(offered(&bench, "keyhaven ls --hum"), ["--human"]);
    assert_eq!(offered(&bench, "keyhaven ls --sort "), ["date", "name", "size"]);
    assert_eq!(offered(&bench, "keyhaven completions z"), ["zsh"]);
    assert!(offered(&bench, "keyhaven ls --password-file st").contains(&"stick.img".to_owned()));
}

/// The same by fish, which tells what it would offer.
#[test]
fn fish_completes_commands_and_choices() {
    if !testkit::programs(&["fish"]) {
        return;
    }
    let bench = Bench::new();
    script(&bench, "fish");
    for (line, expected) in
        [("keyhaven cre", "create"), ("keyhaven ls --sort si", "size"), ("keyhaven keys sh", "show")]
    {
        let run = format!("source ./fish; complete --do-complete '{line}'");
        let mut fish = Command::new("fish");
        fish.env("HOME", bench.folder.path()).current_dir(bench.folder.path());
        let output = fish.args(["--no-config", "-c", &run]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.lines().any(|line| line.split('\t').next().is_some_and(|word| word.ends_with(expected))),
            "{line}: {said}"
        );
    }
}

//! The page for operators and the program's settings agree.

use super::file::{ACTIONS, serve_command};

const PAGE: &str = include_str!("../../../../../docs/OPERATION.md");
const BEGIN: &str = "<!-- settings: begin -->\n";
const END: &str = "<!-- settings: end -->";

/// The table of the settings as the program has them.
fn table() -> String {
    let mut table = "| key | environment | default | what |\n|---|---|---|---|\n".to_owned();
    for argument in serve_command().get_arguments() {
        let (id, Some(key)) = (argument.get_id().as_str(), argument.get_long()) else { continue };
        if ACTIONS.contains(&id) && id != "config" {
            continue;
        }
        let variable = argument.get_env().unwrap_or_else(|| panic!("--{key} has no variable")).to_string_lossy();
        assert_eq!(variable, format!("KEYHAVEN_{}", key.replace('-', "_").to_uppercase()), "--{key}");
        let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default = if defaults.is_empty() { String::new() } else { format!("`{}`", defaults.join(",")) };
        let what = argument.get_help().unwrap_or_else(|| panic!("--{key} has no help")).to_string().replace('\n', " ");
        table.push_str(&format!("| `{key}` | `{variable}` | {default} | {what} |\n"));
    }
    table
}

#[test]
fn the_page_lists_every_setting_as_it_is() {
    let (before, rest) = PAGE.split_once(BEGIN).expect("the page has a place for the settings");
    let (found, after) = rest.split_once(END).expect("the place has an end");
    let table = table();
    if found != table && std::env::var_os("KEYHAVEN_WRITE_DOCS").is_some() {
        let page = format!("{before}{BEGIN}{table}{END}{after}");
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OPERATION.md"), page).unwrap();
        return;
    }
    assert_eq!(found, table, "run this test with KEYHAVEN_WRITE_DOCS=1 to write the page");
}

#[test]
fn the_configuration_to_begin_with_has_settings_that_exist() {
    let text = include_str!("../../../../../packaging/keyhaven.toml");
    let command = serve_command();
    let mut keys = 0;
    for line in text.lines().map(|line| line.trim_start_matches("# ")).filter(|line| line.contains(" = ")) {
        let key = line.split(" = ").next().unwrap_or_default();
        assert!(command.get_arguments().any(|argument| argument.get_long() == Some(key)), "{key}");
        keys += 1;
    }
    assert!(keys > 8);
}

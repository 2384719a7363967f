//! What a figure depends on: processor, system, versions of what was compared.

use std::process::Command;

/// Name and value of each fact, in the order in which they are told.
pub(super) fn describe() -> Vec<(&'static str, String)> {
    vec![
        ("date", first_line("date", &["+%F"])),
        ("processor", processor()),
        ("system", first_line("uname", &["-srm"])),
        (
            "keyhaven",
            format!("{}, {}", env!("CARGO_PKG_VERSION"), first_line("git", &["rev-parse", "--short", "HEAD"])),
        ),
        ("compiler", first_line("rustc", &["--version"])),
        ("dislocker", first_line("dislocker-file", &["-h"])),
        ("libbde", first_line("bdemount", &["-V"])),
        ("cryptsetup", first_line("cryptsetup", &["--version"])),
        ("openssl", first_line("openssl", &["version"])),
    ]
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let flags = field("flags");
    let has: Vec<&str> = ["aes", "sha_ni", "avx2", "vaes", "avx512f"]
        .into_iter()
        .filter(|wanted| flags.split(' ').any(|flag| flag == *wanted))
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores, {}", field("model name"), has.join(" "))
}

/// The first line that is not empty of what a program says of itself.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).current_dir(crate::root()).args(arguments).output() else {
        return "not installed".to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown").to_owned()
}

//! What this computer is called.

/// Its name, as it is; empty where the system does not tell.
#[must_use]
pub fn name() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    name
}

/// The same as Windows writes it into the description of a drive; never empty.
#[must_use]
pub fn name_for_description() -> String {
    let name = name();
    if name.is_empty() { "KEYHAVEN".to_owned() } else { name.to_uppercase() }
}

/// Threads for long work: as many as there are cores.
#[must_use]
pub fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

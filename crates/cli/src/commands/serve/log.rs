//! The log of the service, on standard error: no addresses, no identifiers, no bodies.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::settings::{LogFormat, LogLevel};

/// Starts it. Of the libraries below only what went wrong is told: what else they say nobody has looked through for names and
/// identifiers.
pub(super) fn start(form: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let targets = Targets::new().with_default(LevelFilter::ERROR).with_target("vault_server", level);
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    match form {
        LogFormat::Text => tracing_subscriber::registry().with(layer.with_filter(targets)).init(),
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_span_list(false);
            tracing_subscriber::registry().with(layer.with_filter(targets)).init();
        }
    }
}

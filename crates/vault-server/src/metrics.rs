//! What the service counts, in the text format of Prometheus.
//!
//! Labels are patterns of routes, methods, statuses and codes of the catalogue: nothing that names a person, a key or a device,
//! and nothing that a client could make up.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::Method;
use vault_protocol::routes as paths;
use vault_store::WriteTimes;

/// Upper ends of the histograms' buckets, in microseconds; the last one, without an end, is not among them.
pub(crate) use vault_store::BUCKETS_US;

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    started: SystemTime,
    requests: Mutex<BTreeMap<Asked, Answers>>,
    refusals: Mutex<BTreeMap<String, u64>>,
    saves: [AtomicU64; 3],
    connections_open: AtomicU64,
    connections: AtomicU64,
    connections_refused: AtomicU64,
    handshakes_failed: AtomicU64,
    certificate_loads: AtomicU64,
    certificate_failures: AtomicU64,
    notices_failed: AtomicU64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    method: &'static str,
    route: String,
}

#[derive(Debug, Default)]
struct Answers {
    by_status: BTreeMap<u16, u64>,
    times: [u64; BUCKETS_US.len() + 1],
    sum_us: u64,
}

/// What became of a connection or a certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    /// Closed without an answer: too many from one network, or nobody who may ask.
    ConnectionRefused,
    /// TLS was not agreed on.
    HandshakeFailed,
    /// A certificate is in use.
    CertificateLoaded,
    /// A certificate could not be read or ordered.
    CertificateFailed,
    /// A notice to an owner could not be handed over.
    NoticeFailed,
}

/// Counts a connection as open until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(std::sync::Arc<Metrics>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections_open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            started: SystemTime::now(),
            requests: Mutex::default(),
            refusals: Mutex::default(),
            saves: Default::default(),
            connections_open: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            handshakes_failed: AtomicU64::new(0),
            certificate_loads: AtomicU64::new(0),
            certificate_failures: AtomicU64::new(0),
            notices_failed: AtomicU64::new(0),
        }
    }

    /// A request was answered.
    pub(crate) fn answered(&self, method: &Method, route: &str, status: u16, code: Option<&str>, begun: Instant) {
        let elapsed_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let asked = Asked { method: method_name(method), route: route.to_owned() };
        {
            let mut requests = lock(&self.requests);
            let answers = requests.entry(asked).or_default();
            *answers.by_status.entry(status).or_default() += 1;
            answers.sum_us = answers.sum_us.saturating_add(elapsed_us);
            let bucket = BUCKETS_US.iter().position(|end| elapsed_us <= *end).unwrap_or(BUCKETS_US.len());
            if let Some(count) = answers.times.get_mut(bucket) {
                *count += 1;
            }
        }
        if let Some(code) = code {
            *lock(&self.refusals).entry(code.to_owned()).or_default() += 1;
        }
        if method == Method::PUT && route == paths::RECORD {
            let [stored, again, refused] = &self.saves;
            let outcome = match status {
                201 => stored,
                200 => again,
                _ => refused,
            };
            outcome.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something happened to a connection or a certificate.
    pub(crate) fn happened(&self, event: Event) {
        let counter = match event {
            Event::ConnectionRefused => &self.connections_refused,
            Event::HandshakeFailed => &self.handshakes_failed,
            Event::CertificateLoaded => &self.certificate_loads,
            Event::CertificateFailed => &self.certificate_failures,
            Event::NoticeFailed => &self.notices_failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was taken.
    pub(crate) fn connected(self: &std::sync::Arc<Self>) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.connections_open.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self.clone())
    }

    /// All of it as text.
    pub(crate) fn text(&self, writes: &WriteTimes, ready: bool) -> String {
        let mut page = Page::default();
        self.requests(&mut page);
        self.counters(&mut page);
        page.head(
            "keyhaven_database_write_seconds",
            "histogram",
            "Time of a durable write, from its turn to its commit.",
        );
        let (times, sum_us) = writes.read();
        page.histogram("keyhaven_database_write_seconds", "", &times, sum_us);
        let failed = writes.failed();
        page.single("keyhaven_database_write_failures_total", "counter", "Writes that the database failed.", failed);
        page.single("keyhaven_ready", "gauge", "1 when /ready answers 200.", u64::from(ready));
        self.process(&mut page);
        page.0
    }

    fn requests(&self, page: &mut Page) {
        let requests = lock(&self.requests);
        page.head("keyhaven_requests_total", "counter", "Requests answered, by route and status.");
        for (asked, answers) in &*requests {
            for (status, count) in &answers.by_status {
                let labels = format!("method=\"{}\",route=\"{}\",status=\"{status}\"", asked.method, asked.route);
                page.line("keyhaven_requests_total", &labels, count);
            }
        }
        page.head("keyhaven_request_seconds", "histogram", "Time from the head of a request to its answer.");
        for (asked, answers) in &*requests {
            let labels = format!("method=\"{}\",route=\"{}\"", asked.method, asked.route);
            page.histogram("keyhaven_request_seconds", &labels, &answers.times, answers.sum_us);
        }
        page.head("keyhaven_refusals_total", "counter", "Answers that are problem documents, by their code.");
        for (code, count) in &*lock(&self.refusals) {
            page.line("keyhaven_refusals_total", &format!("code=\"{code}\""), count);
        }
    }

    fn counters(&self, page: &mut Page) {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        page.head("keyhaven_saves_total", "counter", "Saves, by outcome.");
        for (outcome, counter) in ["stored", "again", "refused"].iter().zip(&self.saves) {
            page.line("keyhaven_saves_total", &format!("outcome=\"{outcome}\""), &value(counter));
        }
        for (name, kind, what, counter) in [
            ("keyhaven_connections_open", "gauge", "Connections that are open.", &self.connections_open),
            ("keyhaven_connections_total", "counter", "Connections that were taken.", &self.connections),
            (
                "keyhaven_connections_refused_total",
                "counter",
                "Connections closed unanswered: too many, or not from a listed proxy.",
                &self.connections_refused,
            ),
            ("keyhaven_tls_failures_total", "counter", "TLS handshakes that failed.", &self.handshakes_failed),
            (
                "keyhaven_certificate_loads_total",
                "counter",
                "Certificates that came into use.",
                &self.certificate_loads,
            ),
            (
                "keyhaven_certificate_failures_total",
                "counter",
                "Certificates that could not be read or ordered.",
                &self.certificate_failures,
            ),
            (
                "keyhaven_notice_failures_total",
                "counter",
                "Notices that could not be handed over.",
                &self.notices_failed,
            ),
        ] {
            page.single(name, kind, what, value(counter));
        }
    }

    fn process(&self, page: &mut Page) {
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        page.single("process_start_time_seconds", "gauge", "When the service was started.", started);
        if let Some(bytes) = resident_bytes() {
            page.single("process_resident_memory_bytes", "gauge", "Memory of the process.", bytes);
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            page.single("process_open_fds", "gauge", "Files that the process has open.", files.count() as u64);
        }
    }
}

/// Memory that the process has in use, where Linux tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// A client may send any word as a method.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text, growing. Writing to a string cannot fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, what: &str) {
        let _ = writeln!(self.0, "# HELP {name} {what}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: &impl std::fmt::Display) {
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{labels}}} {value}")
        };
    }

    fn single(&mut self, name: &str, kind: &str, what: &str, value: u64) {
        self.head(name, kind, what);
        self.line(name, "", &value);
    }

    fn histogram(&mut self, name: &str, labels: &str, times: &[u64], sum_us: u64) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut count = 0;
        for (times, end) in times.iter().zip(BUCKETS_US.iter().map(Some).chain([None])) {
            count += times;
            let end = end.map_or_else(|| "+Inf".to_owned(), |end| seconds(*end).to_string());
            self.line(&format!("{name}_bucket"), &format!("{labels}{comma}le=\"{end}\""), &count);
        }
        self.line(&format!("{name}_sum"), labels, &seconds(sum_us));
        self.line(&format!("{name}_count"), labels, &count);
    }
}

fn seconds(microseconds: u64) -> f64 {
    Duration::from_micros(microseconds).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_counted_once() {
        let metrics = Metrics::new();
        let begun = Instant::now();
        metrics.answered(&Method::PUT, paths::RECORD, 201, None, begun);
        metrics.answered(&Method::PUT, paths::RECORD, 200, None, begun);
        metrics.answered(&Method::PUT, paths::RECORD, 503, Some("save.not_durable"), begun);
        metrics.answered(&Method::from_bytes(b"MADEUP").unwrap(), "-", 404, Some("request.not_found"), begun);
        let text = metrics.text(&WriteTimes::default(), true);
        for line in [
            "keyhaven_saves_total{outcome=\"stored\"} 1",
            "keyhaven_saves_total{outcome=\"again\"} 1",
            "keyhaven_saves_total{outcome=\"refused\"} 1",
            "keyhaven_refusals_total{code=\"save.not_durable\"} 1",
            "keyhaven_requests_total{method=\"other\",route=\"-\",status=\"404\"} 1",
            "keyhaven_request_seconds_count{method=\"PUT\",route=\"/v1/records/{id}\"} 3",
            "keyhaven_request_seconds_bucket{method=\"PUT\",route=\"/v1/records/{id}\",le=\"+Inf\"} 3",
            "keyhaven_ready 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("MADEUP"));
    }
}

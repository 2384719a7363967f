//! The account service under load, on SQLite and on PostgreSQL: saves, listings, reveals and sign-ins over loopback HTTP, on an
//! empty store and with a million records.
//!
//! The load is made by `vault_load` (crates/vault-client/examples): saves are signed and sealed beforehand, connections stay open.
//! It shares the two cores with the service and the database, so every figure is one of the machine as a whole.
//!
//! `KEYHAVEN_BENCH_RECORDS` stores another number of records, `KEYHAVEN_BENCH_ENGINE` (`sqlite`, `postgres`) measures one engine.

mod engine;
mod fill;
mod load;
mod service;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Bench;
use super::report::Report;
use engine::Engine;
use load::Load;
use service::Service;

/// Accounts whose devices save, devices of each, and saves of each device: as many as a device may make in a day.
const ACCOUNTS: usize = 600;
const DEVICES: usize = 4;
const SAVES: usize = 10;
/// People who sign in, list and reveal.
const PEOPLE: usize = 50;
/// Records in a listing.
const LISTED: usize = 100;
/// Devices that save at once.
const AT_ONCE: usize = 100;
/// Saves in a measurement: as fast as they are answered, and at a pace.
const FAST: usize = 8000;
const PACED: usize = 4000;
/// Saves a second at a pace: half of what SQLite is to reach.
const PACE: usize = 500;
/// Records of the large store.
const RECORDS: usize = 1_000_000;

pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let records = std::env::var("KEYHAVEN_BENCH_RECORDS").ok().map(|n| n.parse()).transpose()?.unwrap_or(RECORDS);
    // Not in memory: what is measured is durable.
    let folder = tempfile::Builder::new().prefix("keyhaven-bench").tempdir_in("/var/tmp")?;
    let load = Load::prepare(folder.path(), ACCOUNTS, DEVICES, SAVES)?;
    let wanted = std::env::var("KEYHAVEN_BENCH_ENGINE").ok();
    for name in ["sqlite", "postgres"] {
        if wanted.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let data = folder.path().join(name);
        let Some(engine) = Engine::start(name, &data)? else { continue };
        report.section(if name == "sqlite" { "Vault on SQLite" } else { "Vault on PostgreSQL" });
        if name == "sqlite" {
            report.line("a save as it travels", format!("{} bytes", load.request_bytes), "");
        }
        measure(bench, report, &load, &engine, records)?;
        drop(engine);
        std::fs::remove_dir_all(&data).context("the store cannot be removed")?;
    }
    Ok(())
}

fn measure(bench: &Bench, report: &mut Report, load: &Load, engine: &Engine, records: usize) -> Result<()> {
    // The schema is the service's own.
    Service::start(&bench.program, engine)?.stop()?;
    let empty_bytes = engine.bytes()?;
    fill::people(engine, &load.people()?)?;
    // Plans made for empty tables would be kept until the database next looks at them, a minute later.
    engine.settle()?;

    let mut service = Service::start(&bench.program, engine)?;
    let invites = service.invites(PEOPLE)?;
    load.people_call("join", &service, Some(&invites))?;
    fill::listings(engine, LISTED)?;
    saves(report, load, engine, &service, 0, "")?;
    reads(report, load, &service, "")?;
    signing_in(report, load, &service)?;
    service.stop()?;

    let before = engine.bytes()?;
    fill::records(engine, records)?;
    let after = engine.bytes()?;
    let per_record = after.saturating_sub(before) / u64::try_from(records)?.max(1);
    report.line("on disk for each record, indices included", format!("{per_record} bytes"), "");
    report.line("the whole store", format!("{} MiB", after.saturating_sub(empty_bytes) >> 20), "");

    service = Service::start(&bench.program, engine)?;
    let with = format!(", {records} records stored");
    saves(report, load, engine, &service, FAST + PACED, &with)?;
    reads(report, load, &service, &with)?;
    report.line("peak memory of the service", format!("{} MiB", service.peak_memory_kib()? / 1024), "at most 128 MiB");
    service.stop()
}

/// As many saves as the service takes, and then a steady number.
fn saves(report: &mut Report, load: &Load, engine: &Engine, service: &Service, first: usize, with: &str) -> Result<()> {
    let (service_before, engine_before) = (service.processor_seconds()?, engine.processor_seconds()?);
    let written = service.written_bytes()?;
    let fast = load.save(service, first, FAST, AT_ONCE, None)?;
    let (saves, seconds) = (number(&fast, "saves")?, number(&fast, "seconds")?);
    let each = |seconds: f64| seconds / saves * 1e6;
    report.line(
        format!("durable saves, {AT_ONCE} devices{with}"),
        format!("{:.0} a second; {}", saves / seconds, quantiles(&fast["times"])?),
        if engine.is_postgres() { "1500 a second" } else { "1000 a second" },
    );
    let of_service = each(service.processor_seconds()? - service_before);
    let of_engine = each(engine.processor_seconds()? - engine_before);
    let bytes = (service.written_bytes()? - written) / saves;
    let database = if of_engine > 0.0 { format!(", of the database {of_engine:.0} µs") } else { String::new() };
    report.line(
        format!("processor time of a save{with}"),
        format!("service {of_service:.0} µs{database}; service writes {bytes:.0} bytes"),
        "",
    );
    let paced = load.save(service, first + FAST, PACED, AT_ONCE, Some(PACE))?;
    report.line(format!("the same at {PACE} a second{with}"), quantiles(&paced["times"])?, "p99 at most 50 ms");
    Ok(())
}

fn reads(report: &mut Report, load: &Load, service: &Service, with: &str) -> Result<()> {
    let listed = load.people_call("list", service, None)?;
    let call = |answer: &Value, name: &str| quantiles(&answer["calls"][name]);
    report.line(format!("list of {LISTED} records{with}"), call(&listed, "/v1/records")?, "p99 at most 20 ms");
    if with.is_empty() {
        let revealed = load.people_call("reveal", service, None)?;
        report.line("reveal: the release alone", call(&revealed, "/v1/records/{id}/reveal")?, "p99 at most 20 ms");
        report.line("reveal: step-up, devices and release", call(&revealed, "whole")?, "p99 at most 20 ms");
    }
    Ok(())
}

fn signing_in(report: &mut Report, load: &Load, service: &Service) -> Result<()> {
    let before = service.processor_seconds()?;
    let signed_in = load.people_call("sign-in", service, None)?;
    let each = (service.processor_seconds()? - before) / number(&signed_in, "n")? * 1000.0;
    report.line("a sign-in with second factor, processor time of the service", format!("{each:.2} ms"), "at most 2 ms");
    Ok(())
}

fn number(value: &Value, name: &str) -> Result<f64> {
    value[name].as_f64().with_context(|| format!("no {name} in {value}"))
}

fn quantiles(times: &Value) -> Result<String> {
    let (half, most, longest) = (number(times, "p50_ms")?, number(times, "p99_ms")?, number(times, "max_ms")?);
    Ok(format!("p50 {half:.1} ms, p99 {most:.1} ms, longest {longest:.0} ms"))
}

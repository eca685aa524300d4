//! What rules, dashboards and pages name is held against a real `/metrics` of all roles: a series
//! that is renamed here and not there would never raise its alert again.

use super::panel::{PanelMetrics, QueryLabel as PanelQuery, RequestLabel};
use super::sidecar::{CodeLabel, DurabilityLabel, OWN_PROBLEMS, RepeatLabel, SidecarMetrics};
use super::statistics::{HeldLabel, InsertLabel};
use super::*;
use crate::ledger::{Applied, Outcome, Reason, Sums};
use crate::log::{FlushReason, LogId};
use crate::time::Micros;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Labels that Prometheus' configuration adds to every series.
const OF_TARGETS: [&str; 4] = ["system", "role", "instance", "job"];

/// Every component of every role, each family with the labels that it gets in operation.
fn everything() -> String {
    let registry = SharedRegistry::new();
    let log = LogId { name: "ads.click".into(), partition: 3 };
    let pipelines = registry.with(PipelineMetrics::register);
    for sink in ["statistics", "balances", "archive", "kafka"] {
        let one = pipelines.of(sink, &log);
        one.stands(1, 2, 1, Some(Micros(1_000_000)));
        one.wrote(std::time::Duration::from_millis(1));
        for kind in ["corrupt", "bad_frame", "unknown_schema", "bad_body", "invalid"] {
            one.dead(kind, 1);
        }
        for kind in ["read", "store", "start", "held", "write", "write_unknown", "dead"] {
            one.retry(kind);
        }
        one.range(FlushReason::Age);
    }
    let spools = registry.with(SpoolMetrics::register);
    for spool in ["events", "dead", "campaign-state", "campaign-kpis"] {
        drop(spools.of(spool));
    }
    let sidecar = registry.with(SidecarMetrics::register);
    for durability in ["os", "disk", "kafka"] {
        drop(sidecar.ack.get_or_create(&DurabilityLabel { durability }));
    }
    drop(sidecar.problems.get_or_create(&CodeLabel { code: "malformed_json" }));
    drop(sidecar.repeats.get_or_create(&RepeatLabel { outcome: "answered" }));
    let balances = registry.with(BalancesMetrics::register);
    balances.housekept(&crate::ledger::Housekept::default());
    let stopped = vec![(7, Reason::TotalBudget), (8, Reason::DailyBudget)];
    balances.applied(&Applied { outcome: Outcome::Booked, sums: Sums::default(), stopped, exhausted: vec![9] });
    let panel = registry.with(PanelMetrics::register);
    for status in [200, 503] {
        let route = "/api/v1/campaigns".to_owned();
        drop(panel.request_seconds.get_or_create(&RequestLabel { route, status }));
    }
    drop(panel.query_seconds.get_or_create(&PanelQuery { query: "count", outcome: "ok" }));
    let statistics = registry.with(StatisticsMetrics::register);
    drop(statistics.inserts.get_or_create(&InsertLabel { outcome: "ok" }));
    drop(statistics.held.get_or_create(&HeldLabel { held: "all" }));
    let engine = registry.with(EngineMetrics::register);
    drop(engine.queries.get_or_create(&engine::QueryLabel { kind: "query", outcome: "ok" }));
    registry.with(EngineSupervisorMetrics::register);
    registry.with(ArchiveMetrics::register);
    registry.with(ForwardMetrics::register);
    drop(registry.with(KafkaLogMetrics::register).of(&log));
    registry.with(RegistryMetrics::register).asked("ok");
    registry.with(|r| role::register(r, || true));
    registry.encode()
}

/// A series' labels and the values that they have.
type Series = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn series(text: &str) -> Series {
    let mut all = Series::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap_or(line.len()));
        let labels = all.entry(name.to_owned()).or_default();
        for (label, value) in matchers(rest).into_iter().map(|(l, _, v)| (l, v)) {
            labels.entry(label).or_default().insert(value);
        }
    }
    all
}

/// `{a="b",c=~"d|e"}` at the beginning of `text` as (label, operator, value).
fn matchers(text: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else { return found };
    while let Some(quote) = rest.find('"') {
        if rest.find('}').is_some_and(|end| end < quote) {
            break;
        }
        let head = rest[..quote].trim_matches([',', ' ']);
        let label = head.trim_end_matches(['=', '~', '!']);
        let Some(end) = rest[quote + 1..].find('"') else { break };
        let value = &rest[quote + 1..quote + 1 + end];
        found.push((label.to_owned(), head[label.len()..].to_owned(), value.to_owned()));
        rest = &rest[quote + end + 2..];
    }
    found
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.to_str().is_some_and(|p| p.ends_with(ending))).collect();
    assert!(!files.is_empty(), "{} has no {ending}", folder.display());
    files.sort();
    files
}

/// What `text` says of our series: each name with what follows it.
fn named(text: &str) -> Vec<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.match_indices("penstock_")
        .filter(|(at, _)| !text[..*at].ends_with(|c: char| is_name(c) || c == '-' || c == '/'))
        .map(|(at, _)| {
            let rest = &text[at..];
            rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()))
        })
        .collect()
}

#[test]
fn every_series_that_is_named_outside_is_one_of_ours_with_these_labels() {
    let ours = series(&everything());
    let mut wrong = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let all = [
        files("config/prometheus/rules", ".yml"),
        files("config/prometheus/tests", ".yml"),
        files("config/grafana/dashboards", ".json"),
        files("docs/runbooks", ".md"),
        files("docs", "operations.md"),
        files("docs", "cluster.md"),
    ];
    for file in all.concat() {
        // In JSON quotes are escaped.
        let text = std::fs::read_to_string(&file).unwrap().replace("\\\"", "\"");
        for (name, rest) in named(&text) {
            let shown = format!("{}: {name}", file.display());
            // Pages may name a histogram as a whole, and a family by its beginning.
            let page = file.extension().is_some_and(|e| e == "md");
            let Some(labels) = ours.get(name).or_else(|| ours.get(&format!("{name}_bucket")).filter(|_| page)) else {
                wrong.insert(format!("{shown} is no series"));
                continue;
            };
            seen.insert(name.to_owned());
            for (label, operator, value) in matchers(rest) {
                if OF_TARGETS.contains(&label.as_str()) {
                    continue;
                }
                let Some(values) = labels.get(&label) else {
                    wrong.insert(format!("{shown} has no label {label}"));
                    continue;
                };
                // Free values, and those that an alert only excludes.
                let free = ["le", "log", "partition", "topic"].contains(&label.as_str()) || operator.starts_with('!');
                let plain = |v: &&str| v.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '-');
                for one in value.split('|').filter(|v| !free && plain(v)) {
                    let made_up = file.parent().is_some_and(|p| p.ends_with("tests"));
                    if !values.contains(one) && !made_up {
                        wrong.insert(format!("{shown}: {label} is never {one}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
    assert!(seen.len() > 60, "only {} series are looked at", seen.len());
}

#[test]
fn what_is_alerted_on_begins_at_zero() {
    // A counter that appears with its first count has no rate: the first failure would be missed.
    let registry = SharedRegistry::new();
    registry.with(SidecarMetrics::register);
    registry.with(BalancesMetrics::register);
    registry.with(PanelMetrics::register);
    let text = registry.encode();
    for code in OWN_PROBLEMS {
        assert!(text.contains(&format!("penstock_sidecar_problems_total{{code=\"{code}\"}} 0")), "{code}");
    }
    assert!(text.contains("penstock_balances_published_total{what=\"heartbeat\"} 0"));
    assert!(text.contains("penstock_balances_events_total{booked=\"unattributed\"} 0"));
    assert!(text.contains("penstock_reconcile_runs_total{outcome=\"failed\"} 0"));
}

#[test]
fn a_pipeline_shows_no_freshness_before_it_knows_it() {
    let registry = SharedRegistry::new();
    let one = registry.with(PipelineMetrics::register).of("archive", &LogId { name: "l".into(), partition: 0 });
    one.stands(0, 10, 1, None);
    assert!(!registry.encode().contains("penstock_pipeline_fresh_timestamp_seconds{"));
    one.stands(5, 10, 1, Some(Micros(1_509_984_000_250_000)));
    let line = "penstock_pipeline_fresh_timestamp_seconds{sink=\"archive\",log=\"l\",partition=\"0\"} 1509984000.25";
    assert!(registry.encode().contains(line), "{}", registry.encode());
}

#[test]
fn a_role_is_ready_when_it_says_so_at_the_scrape() {
    let registry = SharedRegistry::new();
    let ready = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asked = ready.clone();
    registry.with(|r| role::register(r, move || asked.load(std::sync::atomic::Ordering::Relaxed)));
    assert!(registry.encode().contains("penstock_role_ready 0\n"));
    ready.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(registry.encode().contains("penstock_role_ready 1\n"));
}

//! `penstock consume statistics --from`: a file of events straight into ClickHouse.

use crate::exit::{Verdict, WrongUsage};
use crate::output;
use crate::progress;
use crate::roles::args::FileOptions;
use anyhow::Context;
use penstock::ledger::{Catalogue, Ledger};
use penstock::log::LogId;
use penstock::pricing::{Rates, Snapshot, Version, Versions};
use penstock::settings::Settings;
use penstock::telemetry::{SharedRegistry, StatisticsMetrics};
use penstock::time::{Clock, Micros, SystemClock};
use penstock_consumers::balances::ledger;
use penstock_consumers::statistics::load::{Line, LoadOptions, Loaded, Refused, load, log_name};
use penstock_consumers::statistics::{Pace, Servers, StatisticsSink};
use penstock_simulator::ingest::{Found, Lines, Progress, Source};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often one range is tried: some minutes.
const TRIES: u32 = 20;

#[derive(serde::Serialize)]
struct Report {
    log: String,
    rejected_lines: Vec<Refused>,
    #[serde(flatten)]
    loaded: Loaded,
}

pub async fn run(args: FileOptions, config: Option<PathBuf>, file: PathBuf) -> anyhow::Result<Verdict> {
    let file = file.as_path();
    let Some(config) = &config else {
        return Err(WrongUsage(no_server(file)).into());
    };
    let settings = Settings::load(config).with_context(|| format!("{} cannot be used", config.display()))?;
    let servers = Servers::configured(&settings.statistics)?.ok_or_else(|| WrongUsage(no_server(file)))?;
    if args.shard as usize >= servers.shards() {
        let text = format!("--shard {}: the configuration names {} shards, from 0", args.shard, servers.shards());
        return Err(WrongUsage(text).into());
    }
    let source = Source::from_arg(file);
    if source == Source::Stdin {
        let text = "--from needs a file: it is read twice, first for its name among logs";
        return Err(WrongUsage(text.to_owned()).into());
    }
    let unread = || format!("cannot read {}", file.display());
    let log = match &args.log {
        Some(log) => log.clone(),
        None => log_name(source.open(&Arc::default()).with_context(unread)?).with_context(unread)?,
    };
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    if log.is_empty() || log.len() > 64 || !log.chars().all(letter) {
        return Err(WrongUsage(format!("--log {log}: 1 to 64 of a-z, 0-9, `.` and `-`")).into());
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let prices = prices(&args, &settings, &clock).await?;
    let metrics = SharedRegistry::new().with(StatisticsMetrics::register);
    let pace = Pace::new(settings.statistics.max_inserts_per_second);
    let mut sink = StatisticsSink::new(servers, &settings.statistics, pace, clock.clone(), metrics)?;
    let options = LoadOptions {
        log: LogId { name: log.as_str().into(), partition: 0 },
        shard: args.shard,
        rows: settings.statistics.max_rows,
        bytes: settings.statistics.max_bytes,
        received: clock.now(),
        server: settings
            .sidecar
            .server
            .clone()
            .unwrap_or_else(|| file.display().to_string().chars().take(255).collect()),
        max_future: settings.intake.max_future,
        max_event_bytes: settings.intake.max_event_bytes,
        tries: TRIES,
    };
    let counters = Arc::new(Progress::default());
    let mut lines = Lines::new(source.open(&counters).with_context(unread)?, settings.intake.max_event_bytes);
    let next = || {
        let found = lines.advance()?;
        counters.lines.fetch_add(1, Ordering::Relaxed);
        Ok(found.map(|found| match found {
            Found::Line => Line::Text(lines.line().to_vec()),
            Found::Blank => Line::Blank,
            Found::TooLong(bytes) => Line::TooLong(bytes),
        }))
    };
    let mut rejected_lines = Vec::new();
    let refused = |line: Refused| {
        // Thousands of faults are one fault: the count says the rest.
        if rejected_lines.len() < 1000 {
            rejected_lines.push(line);
        }
    };
    let message = || {
        let lines = counters.lines.load(Ordering::Relaxed);
        (counters.bytes.load(Ordering::Relaxed), format!("{lines} lines"))
    };
    let loaded = progress::during(load(&mut sink, &options, &prices, next, refused), source.size(), message).await?;
    show(args.json, Report { log, rejected_lines, loaded })
}

fn no_server(file: &Path) -> String {
    format!(
        "`penstock consume statistics --from` writes to the ClickHouse that --config names (statistics.url or statistics.shards), and there is none; the engine of `penstock up` takes writes from it alone: `penstock ingest {}` loads the file through it",
        file.display()
    )
}

/// What events are priced by: the catalogue file that was given, as if known since ever; else the
/// ledger's, with all its versions; else nothing.
async fn prices(args: &FileOptions, settings: &Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<Snapshot> {
    if let Some(file) = &args.catalogue {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let catalogue = penstock_consumers::catalogue::parse(&text)
            .with_context(|| format!("{} is no catalogue", file.display()))?;
        return Ok(since_ever(&catalogue));
    }
    if settings.ledger.url.is_some() {
        let open = ledger::open(&settings.ledger, Path::new(""), clock.clone()).await;
        let ledger = open.context("the ledger's catalogue is needed for prices; --catalogue FILE takes another")?;
        return Ok(ledger.load_catalogue().await.context("the ledger's catalogue cannot be read")?.1);
    }
    output::note(
        "no catalogue: tags stay unattributed, and only events with a price of their own cost something (--catalogue FILE)",
    );
    Ok(Snapshot::default())
}

fn since_ever(catalogue: &Catalogue) -> Snapshot {
    fn ever<T>(value: T) -> Versions<T> {
        Versions::new(vec![Version { valid_from: Micros::MIN, known_from: Micros::MIN, value }])
    }
    let tags = catalogue.tags.iter().map(|(tag, campaign)| (tag.as_str().into(), ever(*campaign)));
    let rates = catalogue.campaigns.iter().map(|c| {
        let rates = Rates { cpm_micros: c.cpm_micros, cpc_micros: c.cpc_micros, cpa_micros: c.cpa_micros };
        (c.id, ever(rates))
    });
    Snapshot::new(Micros::MAX, tags.collect(), rates.collect())
}

fn show(json: bool, report: Report) -> anyhow::Result<Verdict> {
    if json {
        output::json(&report)?;
    } else {
        for Refused { line, code, field, message } in &report.rejected_lines {
            let field = field.as_deref().map(|f| format!(" {f}")).unwrap_or_default();
            output::line(format_args!("line {line}: {code}{field}: {message}"))?;
        }
        let Loaded { lines, added, there, rejected } = report.loaded;
        output::line(format_args!(
            "{lines} lines: {added} rows added, {there} were there, {rejected} rejected; log_topic {}",
            report.log
        ))?;
    }
    Ok(if report.loaded.rejected == 0 { Verdict::Good } else { Verdict::SomeRejected })
}

//! How the engine is configured: its two XML files and the arguments of a connection.
//!
//! Whoever connects is the engine's user `default`, whose grants leave out everything that reads
//! or writes outside the database (files, URLs, other servers): nobody here needs it, and readers
//! must not reach the machine's files through a query.

use penstock::settings::EngineSettings;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where the library is to be found, in this order.
#[must_use]
fn candidates(settings: &EngineSettings) -> Vec<PathBuf> {
    if let Some(path) = &settings.library {
        return vec![path.clone()];
    }
    if let Some(path) = std::env::var_os("PENSTOCK_LIBCHDB").filter(|p| !p.is_empty()) {
        return vec![path.into()];
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()));
    let above = |from: PathBuf| -> Vec<PathBuf> {
        from.ancestors().map(|dir| dir.join(".parts").join("chdb").join("libchdb.so")).collect()
    };
    let mut found: Vec<PathBuf> = beside.iter().map(|dir| dir.join("libchdb.so")).collect();
    found.extend(beside.into_iter().flat_map(above));
    found.extend(std::env::current_dir().ok().into_iter().flat_map(above));
    found
}

/// Finds the engine's library (`engine.library`). Errors: a sentence with what to do.
pub fn library(settings: &EngineSettings) -> Result<OsString, String> {
    let candidates = candidates(settings);
    if let Some(found) = candidates.iter().find(|path| path.is_file()) {
        return Ok(found.clone().into_os_string());
    }
    let looked = match candidates.first() {
        Some(path) if candidates.len() == 1 => format!(" at {}", path.display()),
        _ => " beside the program or in .parts/chdb/ above it".to_owned(),
    };
    Err(format!("libchdb.so is not{looked}: run `make parts`, or set engine.library or PENSTOCK_LIBCHDB to its path"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Writes the engine's configuration into `dir` and gives the arguments that start it.
///
/// Errors: an [`io::Error`] when the files cannot be written or a path is not UTF-8.
pub fn write(dir: &Path, settings: &EngineSettings) -> io::Result<Vec<String>> {
    let utf8 = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| io::Error::other(format!("{} is not UTF-8, which the engine needs", path.display())))
    };
    let dir = dir.canonicalize()?;
    let (users, config) = (dir.join("penstock-users.xml"), dir.join("penstock-config.xml"));
    // Caches are sized to the memory allowed, else their defaults alone would exceed it.
    let cache = settings.max_memory_bytes / 16;
    put(
        &config,
        &format!(
            "<clickhouse>\n<users_config>{users}</users_config>\n\
             <max_server_memory_usage>{memory}</max_server_memory_usage>\n\
             <mark_cache_size>{cache}</mark_cache_size>\n<index_mark_cache_size>{small}</index_mark_cache_size>\n\
             <uncompressed_cache_size>0</uncompressed_cache_size>\n<primary_index_cache_size>{cache}</primary_index_cache_size>\n\
             <query_condition_cache_size>{small}</query_condition_cache_size>\n<mmap_cache_size>100</mmap_cache_size>\n\
             </clickhouse>\n",
            users = escape(&utf8(&users)?),
            memory = settings.max_memory_bytes,
            small = cache / 8,
        ),
    )?;
    put(
        &users,
        &format!(
            "<clickhouse>\n<profiles><default>\n<max_memory_usage>{query}</max_memory_usage>\n\
             <constraints><max_memory_usage><min>1</min><max>{query}</max></max_memory_usage></constraints>\n\
             </default></profiles>\n<users><default>\n<password></password>\n<networks><ip>::/0</ip></networks>\n\
             <profile>default</profile>\n<quota>default</quota>\n<grants>\n<query>GRANT {GRANTS} ON *.*</query>\n{engines}\
             </grants>\n</default></users>\n<quotas><default></default></quotas>\n</clickhouse>\n",
            query = settings.max_query_memory_bytes,
            engines = ENGINES
                .iter()
                .map(|engine| format!("<query>GRANT TABLE ENGINE ON {engine}</query>\n"))
                .collect::<String>(),
        ),
    )?;
    Ok(vec![format!("--path={}", utf8(&dir)?), format!("--config-file={}", utf8(&config)?)])
}

const GRANTS: &str = "SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE DICTIONARY, \
     CREATE TEMPORARY TABLE, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, SHOW, CHECK, KILL QUERY, SYSTEM, dictGet";

/// Table engines that keep their data in the engine's own folder or in memory.
const ENGINES: &[&str] = &[
    "MergeTree",
    "ReplacingMergeTree",
    "SummingMergeTree",
    "AggregatingMergeTree",
    "CollapsingMergeTree",
    "VersionedCollapsingMergeTree",
    "CoalescingMergeTree",
    "Memory",
    "Null",
    "Set",
    "Join",
    "Log",
    "TinyLog",
    "StripeLog",
    "Buffer",
    "Merge",
    "View",
    "MaterializedView",
    "Dictionary",
];

fn put(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

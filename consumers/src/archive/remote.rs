//! HDFS and S3 as object stores, with their input and output on threads of their own.
//!
//! A pipeline's thread compresses for seconds at a time; a connection that lived on it would miss
//! its keep-alives, and would die with the pipeline's generation.

use super::hdfs::Hdfs;
use super::store::StoreError;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{ClientConfigKey, SpawnedReqwestConnector};
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use penstock::settings::ArchiveSettings;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// The threads; they live as long as the process.
static THREADS: LazyLock<std::io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).thread_name("archive-io").enable_all().build());

/// Opens `hdfs://…` or `s3://…`; the store is not asked anything yet.
///
/// Errors: [`StoreError`]: an address, an option or a secret that cannot be used.
pub(super) fn open(url: &str, settings: &ArchiveSettings) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let wrong = |why: String| StoreError::Settings { at: url.to_owned(), why };
    let mut options = settings.options.clone();
    for (name, source) in &settings.secrets {
        let secret = source.read("archive.secrets").map_err(|e| wrong(e.to_string()))?;
        options.insert(name.clone(), secret.ok_or_else(|| wrong(format!("the secret `{name}` has no source")))?);
    }
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it is no URL".to_owned()))?;
    let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = ObjectPath::parse(prefix).map_err(|e| wrong(e.to_string()))?;
    let threads = THREADS.as_ref().map_err(|e| wrong(format!("no threads for it: {e}")))?.handle().clone();
    let unusable = |source| StoreError::Open { at: url.to_owned(), source: Box::new(source) };
    match scheme {
        "hdfs" => {
            let hdfs = Hdfs::open(&format!("hdfs://{host}"), options, settings.timeout, threads).map_err(unusable)?;
            Ok(Arc::new(PrefixStore::new(hdfs, prefix)))
        }
        "s3" => {
            let s3 = s3(host, &options, settings.timeout, threads).map_err(unusable)?;
            Ok(Arc::new(PrefixStore::new(s3, prefix)))
        }
        other => Err(wrong(format!("`{other}` is no store"))),
    }
}

/// A bucket. What the environment says (`AWS_REGION`, `AWS_WEB_IDENTITY_TOKEN_FILE`, …) holds where
/// the options say nothing.
fn s3(
    bucket: &str,
    options: &BTreeMap<String, String>,
    timeout: Duration,
    threads: Handle,
) -> object_store::Result<AmazonS3> {
    // Our own deadline ends a call; a few quick retries within it spare the pipeline a round.
    let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: 3, retry_timeout: timeout.mul_f32(0.5) };
    let mut builder = AmazonS3Builder::from_env()
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), format!("{}ms", timeout.as_millis()))
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), "5s")
        .with_http_connector(SpawnedReqwestConnector::new(threads))
        .with_retry(retry)
        .with_bucket_name(bucket);
    for (name, value) in options {
        builder = builder.with_config(name.to_ascii_lowercase().parse()?, value);
    }
    builder.build()
}

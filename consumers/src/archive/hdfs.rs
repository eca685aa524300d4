//! HDFS as an object store: reads through the client's own adapter, writes our way.
//!
//! The adapter numbers its temporary names and leaves them behind when a call is dropped, and our
//! deadlines drop calls. Here a temporary name is never used twice, so nobody can rename what
//! somebody else is still writing; and whoever drops a write has its file removed behind it.

use futures::stream::BoxStream;
use hdfs_native::{Client, ClientBuilder, HdfsError, WriteOptions};
use hdfs_native_object_store::HdfsObjectStore;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;
use tokio::runtime::Handle;

/// A NameNode or a name service with its files.
#[derive(Clone, Debug)]
pub(super) struct Hdfs {
    client: Client,
    inner: HdfsObjectStore,
    threads: Handle,
    timeout: Duration,
}

/// Between the two removals of a temporary file.
const AGAIN: Duration = Duration::from_secs(1);

/// Options that are the client's own; all others are Hadoop's properties.
const OWN: [&str; 5] = ["user", "kerberos.principal", "kerberos.keytab", "kerberos.cache", "config.dir"];

impl Hdfs {
    /// A client for `hdfs://host:port`; nothing is asked yet. Errors: options it does not take.
    pub(super) fn open(
        url: &str,
        mut options: BTreeMap<String, String>,
        timeout: Duration,
        threads: Handle,
    ) -> Result<Hdfs> {
        let mut builder = ClientBuilder::new().with_url(url).with_io_runtime(threads.clone());
        let [user, principal, keytab, cache, config_dir] = OWN.map(|name| options.remove(name));
        for (value, with) in [
            (user, ClientBuilder::with_user as fn(ClientBuilder, String) -> ClientBuilder),
            (principal, ClientBuilder::with_kerberos_principal),
            (keytab, ClientBuilder::with_kerberos_keytab),
            (cache, ClientBuilder::with_kerberos_cache),
            (config_dir, ClientBuilder::with_config_dir),
        ] {
            if let Some(value) = value {
                builder = with(builder, value);
            }
        }
        // Of one NameNode the client would wait three minutes that it comes back; the pipeline
        // tries again by itself and says so.
        let one = !options.keys().any(|key| key.starts_with("dfs.ha.namenodes"));
        let mut config = HashMap::from([("dfs.client.socket-timeout".to_owned(), timeout.as_millis().to_string())]);
        if one {
            config.insert("dfs.client.failover.max.attempts".to_owned(), "0".to_owned());
        }
        config.extend(options);
        let client = builder.with_config(config).build().map_err(failed)?;
        Ok(Hdfs { inner: HdfsObjectStore::new(client.clone()), client, threads, timeout })
    }
}

fn failed(error: HdfsError) -> Error {
    match error {
        HdfsError::FileNotFound(path) => {
            Error::NotFound { path: path.clone(), source: Box::new(HdfsError::FileNotFound(path)) }
        }
        HdfsError::AlreadyExists(path) => {
            Error::AlreadyExists { path: path.clone(), source: Box::new(HdfsError::AlreadyExists(path)) }
        }
        other => Error::Generic { store: "HDFS", source: Box::new(other) },
    }
}

/// A temporary file; removed when it was not published.
struct Temporary<'a> {
    hdfs: &'a Hdfs,
    path: String,
    published: bool,
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.published {
            let (client, path) = (self.hdfs.client.clone(), std::mem::take(&mut self.path));
            let timeout = self.hdfs.timeout;
            // Nobody waits for it: what it cannot remove, the housekeeper finds. The NameNode may
            // take up the removal before a creation that was sent earlier, so it hears it twice.
            self.hdfs.threads.spawn(async move {
                for _ in 0..2 {
                    let _ = tokio::time::timeout(timeout, client.delete(&path, false)).await;
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
    }
}

#[async_trait::async_trait]
impl ObjectStore for Hdfs {
    /// Writes aside, closes (before that a file is not safe), renames.
    async fn put_opts(&self, location: &ObjectPath, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let replace = match opts.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => return self.inner.put_opts(location, payload, opts).await, // its refusal
        };
        let path = format!("/{location}");
        // Spares the writing; the rename is what decides.
        if !replace && self.client.get_file_info(&path).await.is_ok() {
            return Err(failed(HdfsError::AlreadyExists(path)));
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let aside = format!("{folder}/.{name}.tmp.{:016x}", rand::random::<u64>());
        let mut temporary = Temporary { hdfs: self, path: aside, published: false };
        let mut file = self.client.create(&temporary.path, WriteOptions::default()).await.map_err(failed)?;
        for bytes in payload {
            Box::pin(file.write_bytes(bytes)).await.map_err(failed)?;
        }
        Box::pin(file.close()).await.map_err(failed)?;
        self.client.rename(&temporary.path, &path, replace).await.map_err(failed)?;
        temporary.published = true;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn put_multipart_opts(
        &self,
        location: &ObjectPath,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<ObjectPath>>,
    ) -> BoxStream<'static, Result<ObjectPath>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &ObjectPath, to: &ObjectPath, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &ObjectPath, to: &ObjectPath, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

impl fmt::Display for Hdfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

//! A store that dies at a chosen change, before or after doing it, and one that waits.

use futures::stream::{BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::Notify;

/// Whether the last change is done although nobody hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Undone,
    Done,
}

/// Dies with a change: that one and all later ones fail.
#[derive(Debug)]
pub(super) struct Cut {
    pub inner: Arc<dyn ObjectStore>,
    pub left: AtomicI64,
    pub last: Last,
    /// A put of a path with this in it waits for the second after it has told the first.
    pub hold: Option<(&'static str, Arc<Notify>, Arc<Notify>)>,
}

impl Cut {
    pub fn after(inner: &Arc<dyn ObjectStore>, changes: i64, last: Last) -> Arc<Cut> {
        Arc::new(Cut { inner: inner.clone(), left: AtomicI64::new(changes), last, hold: None })
    }

    pub fn died(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }

    /// Whether this change is to be done, and whether it may be told.
    fn change(&self) -> (bool, bool) {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        (left > 0 || (left == 0 && self.last == Last::Done), left > 0)
    }
}

fn dead<T>() -> Result<T> {
    Err(Error::Generic { store: "cut", source: "the process was killed".into() })
}

#[async_trait::async_trait]
impl ObjectStore for Cut {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if let Some((what, arrived, go)) = &self.hold
            && location.as_ref().contains(what)
        {
            arrived.notify_one();
            go.notified().await;
        }
        let (done, told) = self.change();
        let result = if done { self.inner.put_opts(location, payload, opts).await } else { dead() };
        if told { result } else { dead() }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        dead()
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.died() { dead() } else { self.inner.get_opts(location, options).await }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (done, told) = self.change();
        let inner = self.inner.clone();
        locations
            .then(move |location| {
                let inner = inner.clone();
                async move {
                    let location = location?;
                    if done {
                        inner.delete(&location).await?;
                    }
                    if told { Ok(location) } else { dead() }
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        dead()
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut")
    }
}

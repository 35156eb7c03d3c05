//! The ledger as a row of objects, each made once and never changed: `KEY/log/<first seq>.jsonl`.
//!
//! An object is created only where there is none, so whoever has lost its turn finds its number taken, however late it
//! wakes. `KEY/snapshot/<last seq>.jsonl` holds all lines up to there, so that reading costs the same however long the
//! history is; nothing is lost with it. The row is never deleted.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, PutResult,
};
use tokio::sync::Mutex;

use super::ask::{Bad, TRIES, pause, retry, within};
use super::hold::Hold;
use super::lease::Lease;
use super::settings::Settings;
use super::trouble::{Holder, Kind, Trouble, exists, missing};

/// After so many objects a snapshot is worth its writing.
const SNAPSHOT_AFTER: usize = 64;
/// How many objects are asked for at the same time.
const AT_ONCE: usize = 16;
/// A ledger begins there whatever its first line's number is, so that two beginnings meet.
const GENESIS: u64 = 1;

/// A ledger's place in an object store.
#[derive(Debug, Clone)]
pub(super) struct Objects {
    pub store: Arc<dyn ObjectStore>,
    key: String,
    pub patience: Duration,
    pub ttl: Duration,
}

/// What was read.
pub(super) struct Content {
    pub bytes: Vec<u8>,
    /// How many objects stand behind the newest snapshot.
    pub loose: usize,
}

/// The same under a lease.
#[derive(Debug, Clone)]
pub(super) struct Leased {
    objects: Objects,
    lease: Lease,
    written: Arc<Mutex<Vec<Written>>>,
    loose: Arc<std::sync::atomic::AtomicUsize>,
    /// Held while a snapshot is written.
    snapshot: Arc<Mutex<()>>,
}

/// An object that this writer made.
#[derive(Debug, Clone)]
struct Written {
    path: Path,
    bytes: Vec<u8>,
}

impl Objects {
    /// Nothing is asked of the store yet.
    pub fn new(store: Arc<dyn ObjectStore>, key: &str, settings: &Settings) -> Self {
        Self { store, key: key.into(), patience: settings.timeout, ttl: settings.lease }
    }

    pub fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.key))
    }

    fn segment(&self, seq: u64) -> Path {
        self.path(&format!("log/{seq:020}.jsonl"))
    }

    /// The ledger's bytes.
    pub async fn read(&self) -> Result<Content, Trouble> {
        // A snapshot that was listed may be deleted before it is fetched, when two newer ones came in between.
        for _ in 0..3 {
            if let Some(content) = self.try_read().await? {
                return Ok(content);
            }
        }
        Err(Trouble::new(Kind::Read, "cannot be read: its snapshots go as fast as they are listed"))
    }

    async fn try_read(&self) -> Result<Option<Content>, Trouble> {
        let newest = self.list("snapshot", None).await?.pop();
        let (mut bytes, after) = match &newest {
            Some((last, meta)) => match self.fetch(meta).await {
                Ok(bytes) => (bytes, Some(*last)),
                Err(Bad::Missing) => return Ok(None),
                Err(bad) => return Err(bad.reading()),
            },
            None => (Vec::new(), None),
        };
        let segments = self.list("log", after).await?;
        if newest.is_none() && segments.is_empty() {
            return Err(missing());
        }
        let loose = segments.len();
        let mut fetched = futures_util::stream::iter(segments)
            .map(|(_, meta)| async move { self.fetch(&meta).await })
            .buffered(AT_ONCE);
        while let Some(segment) = fetched.next().await {
            bytes.extend_from_slice(&segment.map_err(Bad::reading)?);
        }
        Ok(Some(Content { bytes, loose }))
    }

    /// The numbered objects of a folder behind a number, in order.
    async fn list(&self, folder: &str, after: Option<u64>) -> Result<Vec<(u64, ObjectMeta)>, Trouble> {
        let prefix = self.path(folder);
        let listed = retry(|| async {
            let listing = match after {
                Some(after) => self
                    .store
                    .list_with_offset(Some(&prefix), &self.path(&format!("{folder}/{after:020}.jsonl"))),
                None => self.store.list(Some(&prefix)),
            };
            within(self.patience, listing.try_collect::<Vec<ObjectMeta>>()).await
        });
        let listed = listed.await.map_err(Bad::reading)?;
        let number = |meta: &ObjectMeta| {
            let name = meta.location.filename()?.strip_suffix(".jsonl")?;
            name.parse::<u64>().ok().filter(|_| name.len() == 20)
        };
        let mut numbered: Vec<(u64, ObjectMeta)> =
            listed.into_iter().filter_map(|meta| Some((number(&meta)?, meta))).collect();
        numbered.sort_by_key(|(number, _)| *number);
        numbered.retain(|(number, _)| after.is_none_or(|after| *number > after));
        Ok(numbered)
    }

    /// A listed object, which must be as long as it was listed.
    async fn fetch(&self, meta: &ObjectMeta) -> Result<Vec<u8>, Bad> {
        let bytes = self.get(&meta.location).await?;
        if bytes.len() as u64 != meta.size || bytes.is_empty() {
            return Err(Bad::Refused(format!(
                "the store lists {} bytes under {} and sends {}",
                meta.size,
                meta.location,
                bytes.len()
            )));
        }
        Ok(bytes)
    }

    pub async fn get(&self, path: &Path) -> Result<Vec<u8>, Bad> {
        retry(|| async { within(self.patience, async { self.store.get(path).await?.bytes().await }).await })
            .await
            .map(|bytes| bytes.to_vec())
    }

    /// An object with what is known of it.
    pub async fn look(&self, path: &Path) -> Result<(Vec<u8>, ObjectMeta), Bad> {
        retry(|| async {
            within(self.patience, async {
                let result = self.store.get_opts(path, GetOptions::default()).await?;
                let meta = result.meta.clone();
                Ok((result.bytes().await?.to_vec(), meta))
            })
            .await
        })
        .await
    }

    /// One request to put an object, not made again.
    pub async fn put(&self, path: &Path, bytes: Vec<u8>, mode: PutMode) -> Result<PutResult, Bad> {
        let options = PutOptions { mode, ..PutOptions::default() };
        within(self.patience, self.store.put_opts(path, PutPayload::from(bytes), options)).await
    }

    /// Creates an object where there is none. One that holds these very bytes is ours: an answer was lost.
    async fn make(&self, path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
        let mut last = String::new();
        for attempt in 0..TRIES {
            pause(attempt).await;
            match self.put(path, bytes.to_vec(), PutMode::Create).await {
                Ok(_) => return Ok(()),
                Err(Bad::Taken) => match self.get(path).await {
                    Ok(there) if there == bytes => return Ok(()),
                    Ok(_) => {
                        let name = path.filename().unwrap_or_default();
                        return Err(Trouble::lost(format!(
                            "was written to by somebody else: log/{name} is taken"
                        )));
                    }
                    // Refused for another writer's try that came to nothing.
                    Err(Bad::Missing) => last = "the store answered with a conflict".into(),
                    Err(bad) => last = bad.says(),
                },
                Err(Bad::Missing) => {
                    return Err(Trouble::new(
                        Kind::Write,
                        "cannot be written: there is no such bucket or container",
                    ));
                }
                Err(Bad::Refused(why)) => {
                    return Err(Trouble::new(Kind::Write, format!("cannot be written: {why}")));
                }
                Err(Bad::Open(why)) => last = why,
            }
        }
        Err(Trouble::new(Kind::Write, format!("cannot be written: {last} ({TRIES} tries)")))
    }

    /// Takes the lease and reads the ledger; says how it was got, where that is worth a word.
    pub async fn lease(
        self,
        who: &Holder,
        wait: Duration,
    ) -> Result<(Leased, Vec<u8>, Option<String>), Trouble> {
        let (lease, note) = Lease::take(&self, who, wait).await?;
        match self.read().await {
            Ok(Content { bytes, loose }) => {
                let leased = Leased {
                    objects: self,
                    lease,
                    written: Arc::default(),
                    loose: Arc::new(loose.into()),
                    snapshot: Arc::default(),
                };
                Ok((leased, bytes, note))
            }
            Err(trouble) => {
                lease.end(&self).await;
                Err(trouble)
            }
        }
    }

    /// Puts a new ledger there.
    pub async fn create(self, who: &Holder, content: Vec<u8>) -> Result<(), Trouble> {
        let (lease, _) = Lease::take(&self, who, Duration::from_millis(200)).await?;
        let created = match self.read().await {
            Ok(_) => Err(exists()),
            Err(trouble) if trouble.kind == Kind::Missing => self.begin(&content).await,
            Err(trouble) => Err(trouble),
        };
        lease.end(&self).await;
        created
    }

    async fn begin(&self, content: &[u8]) -> Result<(), Trouble> {
        self.make(&self.segment(GENESIS), content).await.map_err(|trouble| match trouble.kind {
            Kind::Lost => exists(),
            _ => trouble,
        })?;
        match self.read().await {
            Ok(there) if there.bytes == content => Ok(()),
            Ok(_) => Err(exists()),
            Err(trouble) => Err(trouble.writing()),
        }
    }

    /// Frees the lease of this id.
    pub async fn force_unlock(&self, id: &str) -> Result<Holder, Trouble> {
        Lease::free(self, id).await
    }
}

impl Leased {
    /// Until when it may write.
    pub fn hold(&self) -> Hold {
        self.lease.hold()
    }

    /// Appends lines as one object.
    pub async fn append(&self, first_seq: u64, bytes: Vec<u8>, is_first: bool) -> Result<(), Trouble> {
        let Self { objects, lease, .. } = self;
        lease.assure(objects).await?;
        let path = objects.segment(first_seq);
        objects.make(&path, &bytes).await?;
        if is_first && objects.get(&path).await.ok().as_ref() != Some(&bytes) {
            return Err(lied());
        }
        self.loose.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.written.lock().await.push(Written { path, bytes });
        Ok(())
    }

    /// Whether so many objects have gathered that a snapshot is due; asked once for each.
    pub fn wants_snapshot(&self) -> bool {
        use std::sync::atomic::Ordering::SeqCst;
        let due = self.loose.load(SeqCst) >= SNAPSHOT_AFTER;
        if due {
            self.loose.store(0, SeqCst);
        }
        due
    }

    /// Writes everything up to a line into one object. Where that fails, reading only costs more.
    pub async fn snapshot(&self, last_seq: u64, content: Vec<u8>) {
        let _one = self.snapshot.lock().await;
        let Self { objects, .. } = self;
        if !self.hold().is_good() {
            return;
        }
        let path = objects.path(&format!("snapshot/{last_seq:020}.jsonl"));
        if objects.make(&path, &content).await.is_err() {
            return;
        }
        // Whoever reads just now may have listed the one before.
        let Ok(mut all) = objects.list("snapshot", None).await else { return };
        all.truncate(all.len().saturating_sub(2));
        for (_, old) in all {
            let _ = within(objects.patience, objects.store.delete(&old.location)).await;
        }
    }

    /// Looks whether every object that this writer made is listed as it was made.
    pub async fn prove(&self) -> Result<(), Trouble> {
        let written = self.written.lock().await;
        let Some(first) = written.first().and_then(|first| number(&first.path)) else { return Ok(()) };
        let listed = self.objects.list("log", first.checked_sub(1)).await.map_err(Trouble::writing)?;
        for Written { path, bytes } in written.iter() {
            let is_there =
                listed.iter().any(|(_, meta)| meta.location == *path && meta.size == bytes.len() as u64);
            if !is_there {
                // Still ours to write: its number is free, or it holds these bytes.
                self.objects.make(path, bytes).await?;
                if self.objects.get(path).await.ok().as_ref() != Some(bytes) {
                    return Err(lied());
                }
            }
        }
        Ok(())
    }

    /// Waits for a snapshot that is being written, and gives the lease back.
    pub async fn end(&self) {
        let _one = self.snapshot.lock().await;
        self.lease.end(&self.objects).await;
    }
}

fn number(path: &Path) -> Option<u64> {
    path.filename()?.strip_suffix(".jsonl")?.parse().ok()
}

fn lied() -> Trouble {
    Trouble::new(
        Kind::Write,
        "cannot be written: the store said that it stored an object, and does not hold it",
    )
    .hint("this store cannot be relied on; keep the state elsewhere")
}

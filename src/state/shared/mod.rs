//! A state that more than one machine reaches: an object store, or a document on an HTTP server.
//!
//! What is kept there is the ledger's own lines, byte for byte. [`read`] needs neither lock nor lease. A [`Writer`] holds one;
//! whatever becomes of it, no line is ever written in the place of another: see `objects` and `http`.

mod answer;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod ask;
mod document;
mod driver;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod engines;
mod hold;
mod http;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod lease;
mod lock_info;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod objects;
#[cfg(feature = "s3")]
mod profile;
mod settings;
mod trouble;

use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::timeout;

pub use hold::Hold;
pub use lock_info::LockInfo;
pub use settings::Settings;
pub use trouble::{Holder, Kind, Trouble};

#[cfg(not(all(feature = "s3", feature = "gcs", feature = "azure")))]
use super::place::Engine;
use super::place::{Address, Place};
use driver::Driver;
use http::Http;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
use objects::Objects;

/// How long giving the lock back may take.
const FAREWELL: Duration = Duration::from_secs(10);

/// The right to write to a shared state, and what is known of it.
#[derive(Debug)]
pub struct Writer {
    driver: Driver,
    to: To,
    /// The whole ledger, as far as it is known to be stored.
    content: Vec<u8>,
    /// Whether what was written has been seen in the store since.
    is_proved: bool,
    patience: Duration,
    note: Option<String>,
}

#[derive(Debug)]
enum To {
    Http(Box<http::Locked>),
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
    Objects(Box<objects::Leased>),
}

/// A store that can be asked.
enum Store {
    Http(Box<Http>),
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
    Objects(Objects),
}

fn store(place: &Place, settings: &Settings) -> Result<Store, Trouble> {
    match place.address() {
        Some(Address::Http(url)) => Ok(Store::Http(Box::new(Http::new(url.clone(), settings)?))),
        #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
        Some(Address::Objects { engine, bucket, key }) => {
            let store = engines::open(*engine, bucket, settings)?;
            Ok(Store::Objects(Objects::new(store, key, settings)))
        }
        #[cfg(not(any(feature = "s3", feature = "gcs", feature = "azure")))]
        Some(Address::Objects { engine, .. }) => Err(not_built(*engine)),
        None => Err(Trouble::new(Kind::Setup, "is a file")),
    }
}

/// What a build without an engine says of its addresses.
#[cfg(not(all(feature = "s3", feature = "gcs", feature = "azure")))]
fn not_built(engine: Engine) -> Trouble {
    let feature = engine.feature();
    Trouble::new(Kind::Setup, format!("cannot be reached: this larksub was built without `{feature}`"))
        .hint(format!("install it again from its source, with that engine: `cargo install --locked --path . --features {feature}`"))
}

/// The bytes of a shared ledger, whole lines all of them. Nothing is locked and nothing is written.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn read(place: &Place, settings: &Settings) -> Result<Vec<u8>, Trouble> {
    let store = store(place, settings)?;
    let driver = Driver::start()?;
    match store {
        Store::Http(http) => driver.run(async move { http.read().await })?,
        #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
        Store::Objects(objects) => {
            driver.run(async move { objects.read().await.map(|content| content.bytes) })?
        }
    }
}

/// Puts a new ledger there, under the lock, and reads it back.
///
/// # Errors
/// There is one already, somebody else holds it, or it cannot be written.
pub fn create(place: &Place, settings: &Settings, who: &Holder, content: &[u8]) -> Result<(), Trouble> {
    let store = store(place, settings)?;
    let driver = Driver::start()?;
    let (who, content) = (who.clone(), content.to_vec());
    match store {
        Store::Http(http) => driver.run(async move { http.create(&who, content).await })?,
        #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
        Store::Objects(objects) => driver.run(async move { objects.create(&who, content).await })?,
    }
}

/// Takes the lock of somebody who is gone away, by its id.
///
/// # Errors
/// It is not held, or by another id; the holder is in the error.
pub fn unlock(place: &Place, settings: &Settings, id: &str) -> Result<Holder, Trouble> {
    let store = store(place, settings)?;
    let driver = Driver::start()?;
    let id = id.to_owned();
    match store {
        Store::Http(http) => driver.run(async move { http.force_unlock(&id).await })?,
        #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
        Store::Objects(objects) => driver.run(async move { objects.force_unlock(&id).await })?,
    }
}

/// What an append comes to, all its tries together: a run does not wait for ever with calls in flight.
async fn in_time<T>(
    patience: Duration,
    appending: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    timeout(patience.saturating_mul(2), appending)
        .await
        .unwrap_or_else(|_| Err(Trouble::new(Kind::Write, "cannot be written: no answer in time")))
}

impl Writer {
    /// Takes the lock, waiting for it so long, and reads the ledger.
    ///
    /// # Errors
    /// It is held by somebody else, missing, or cannot be read.
    pub fn open(place: &Place, settings: &Settings, who: &Holder, wait: Duration) -> Result<Self, Trouble> {
        let store = store(place, settings)?;
        let driver = Driver::start()?;
        let who = who.clone();
        let (to, content, note) = match store {
            Store::Http(http) => {
                let (locked, content) = driver.run(async move { http.lock(&who, wait).await })??;
                (To::Http(Box::new(locked)), content, None)
            }
            #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
            Store::Objects(objects) => {
                let (leased, content, note) =
                    driver.run(async move { objects.lease(&who, wait).await })??;
                (To::Objects(Box::new(leased)), content, note)
            }
        };
        Ok(Self { driver, to, content, is_proved: false, patience: settings.timeout, note })
    }

    /// What to say of how the lock was got.
    pub fn note(&mut self) -> Option<String> {
        self.note.take()
    }

    /// The whole ledger.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Until when it may write; none where the server's lock says so itself.
    pub fn hold(&self) -> Option<Hold> {
        match &self.to {
            To::Http(_) => None,
            #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
            To::Objects(leased) => Some(leased.hold()),
        }
    }

    /// Appends the whole lines with these numbers. They are stored when this returns.
    ///
    /// # Errors
    /// Somebody else wrote there, or nobody can say whether they are stored.
    pub fn append(&mut self, seqs: RangeInclusive<u64>, text: &str) -> Result<(), Trouble> {
        let (is_first, patience) = (!self.is_proved, self.patience);
        match &self.to {
            To::Http(locked) => {
                let (locked, mut content, serial) = ((**locked).clone(), self.content.clone(), *seqs.end());
                let old = content.len();
                content.extend_from_slice(text.as_bytes());
                let appending = async move { locked.append(content, old, serial, is_first).await };
                self.content = self.driver.run(in_time(patience, appending))??;
            }
            #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
            To::Objects(leased) => {
                let (appender, bytes, first) = ((**leased).clone(), text.as_bytes().to_vec(), *seqs.start());
                let appending = async move { appender.append(first, bytes, is_first).await };
                self.driver.run(in_time(patience, appending))??;
                self.content.extend_from_slice(text.as_bytes());
                if leased.wants_snapshot() {
                    let (leased, content, last) = ((**leased).clone(), self.content.clone(), *seqs.end());
                    self.driver.spawn(async move { leased.snapshot(last, content).await });
                }
            }
        }
        self.is_proved = true;
        Ok(())
    }

    /// Looks whether everything that was written is in the store: one that loses what it has acknowledged is found out.
    ///
    /// # Errors
    /// Something is missing, or cannot be looked at.
    pub fn prove(&self) -> Result<(), Trouble> {
        match &self.to {
            To::Http(locked) => {
                let (locked, content) = ((**locked).clone(), self.content.clone());
                self.driver.run(async move { locked.prove(&content).await })?
            }
            #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
            To::Objects(leased) => {
                let leased = (**leased).clone();
                self.driver.run(async move { leased.prove().await })?
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // What cannot be given back expires, or is unlocked by a person.
        let _ = match &self.to {
            To::Http(locked) => {
                let locked = (**locked).clone();
                self.driver.run(async move { timeout(FAREWELL, locked.unlock()).await })
            }
            #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
            To::Objects(leased) => {
                let leased = (**leased).clone();
                self.driver.run(async move { timeout(FAREWELL, leased.end()).await })
            }
        };
    }
}

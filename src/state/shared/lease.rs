//! Who is writing to a ledger in an object store: one object, taken, renewed and given back by conditional requests.
//!
//! Whether somebody else's lease has expired is told by the store's clock alone: the object's age against an object that was
//! written just now. No machine's clock can make a live lease look dead. The holder itself goes by its own clock, which
//! runs on in sleep, from the moment at which it asked for the renewal: its lease ends for it before it does for others.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use object_store::path::Path;
use object_store::{ObjectMeta, PutMode, UpdateVersion};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::ask::{Bad, pause};
use super::hold::{Hold, now};
use super::objects::Objects;
use super::trouble::{Holder, Kind, Trouble, not_theirs};

const FORMAT: &str = "larksub.state.lease";
/// A store tells whole seconds, and clocks do not run alike.
const MARGIN: Duration = Duration::from_secs(2);
const TRIES: u32 = 4;

/// The lease's object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Body {
    format: String,
    version: u32,
    /// Whether somebody holds it.
    is_held: bool,
    id: String,
    who: String,
    operation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<Timestamp>,
    ttl_s: u64,
    /// So that no two of them are alike.
    renewal: u64,
}

/// A lease that is held.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    hold: Hold,
    held: Arc<Mutex<Held>>,
    heart: Arc<Heart>,
}

#[derive(Debug)]
struct Held {
    body: Body,
    version: UpdateVersion,
    has_ended: bool,
}

/// Renews until it is dropped.
#[derive(Debug)]
struct Heart(JoinHandle<()>);

impl Drop for Heart {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn path(objects: &Objects) -> Path {
    objects.path("lease.json")
}

fn version(meta: &ObjectMeta) -> UpdateVersion {
    UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() }
}

impl Body {
    fn holder(&self) -> Holder {
        Holder {
            id: self.id.clone(),
            who: self.who.clone(),
            operation: self.operation.clone(),
            since: self.since,
            heartbeat: self.heartbeat,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        // It holds nothing that could fail to be JSON.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// What stands under the lease's name.
async fn look(objects: &Objects) -> Result<Option<(Body, ObjectMeta)>, Trouble> {
    match objects.look(&path(objects)).await {
        Ok((bytes, meta)) => match serde_json::from_slice::<Body>(&bytes) {
            Ok(body) if body.format == FORMAT => Ok(Some((body, meta))),
            _ => Err(Trouble::new(Kind::Setup, "cannot be locked: its lease.json is something else")
                .hint("look at that object: delete it only where no larksub of a newer version is at work")),
        },
        Err(Bad::Missing) => Ok(None),
        Err(bad) => {
            let trouble = Trouble::new(Kind::Read, format!("cannot be locked: {}", bad.says()));
            Err(match bad {
                Bad::Refused(_) => {
                    trouble.hint("writing needs the right to read, list and put objects under its key")
                }
                _ => trouble.hint("run this again when the store answers; nothing was changed"),
            })
        }
    }
}

/// How old an object is by the store's own clock.
async fn age(objects: &Objects, of: &ObjectMeta) -> Result<Duration, Bad> {
    let probe = objects.path("clock");
    objects.put(&probe, b"what time the store has it\n".to_vec(), PutMode::Overwrite).await?;
    let (_, now) = objects.look(&probe).await?;
    Ok((now.last_modified - of.last_modified).to_std().unwrap_or_default())
}

impl Lease {
    /// Takes the lease: a new one, a free one, or one that has expired, waiting for it so long.
    pub async fn take(
        objects: &Objects,
        who: &Holder,
        wait: Duration,
    ) -> Result<(Self, Option<String>), Trouble> {
        let until = Instant::now().checked_add(wait);
        let is_over = || until.is_some_and(|until| Instant::now() >= until);
        // When the one that was looked at expires, if nobody renews it.
        let mut watched: Option<(UpdateVersion, Instant)> = None;
        let Holder { id, who, operation, since, heartbeat: _ } = who;
        let ttl_s = objects.ttl.as_secs();
        let mut body = Body {
            format: FORMAT.into(),
            version: 1,
            is_held: true,
            id: id.clone(),
            who: who.clone(),
            operation: operation.clone(),
            since: *since,
            heartbeat: None,
            ttl_s,
            renewal: 0,
        };
        let mut last = String::from("the store answers with conflicts");
        let mut attempt = 0;
        loop {
            let found = look(objects).await?;
            let mut note = None;
            let mode = match &found {
                None => PutMode::Create,
                // Ours: the answer to taking it was lost.
                Some((theirs, meta)) if theirs.is_held && theirs.id == *id => PutMode::Update(version(meta)),
                Some((theirs, meta)) if !theirs.is_held => PutMode::Update(version(meta)),
                Some((theirs, meta)) => {
                    let theirs_ttl = Duration::from_secs(theirs.ttl_s.clamp(1, 3600)) + MARGIN;
                    let known =
                        watched.as_ref().filter(|(seen, _)| seen.e_tag == meta.e_tag).map(|(_, at)| *at);
                    let expires = match known {
                        Some(at) => Some(at),
                        None => {
                            let age = age(objects, meta).await.ok();
                            let at = age.map(|age| Instant::now() + theirs_ttl.saturating_sub(age));
                            watched = at.map(|at| (version(meta), at));
                            at
                        }
                    };
                    if expires.is_none_or(|at| Instant::now() < at) {
                        if is_over() {
                            return Err(Trouble::held(theirs.holder()).hint(format!(
                                "a lease of which nothing is heard for {} s is taken over by itself",
                                theirs_ttl.as_secs()
                            )));
                        }
                        let left = until
                            .map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
                        sleep(left.min(Duration::from_millis(500))).await;
                        continue;
                    }
                    note = Some(format!("took over the expired lease of {}", theirs.holder()));
                    PutMode::Update(version(meta))
                }
            };
            pause(attempt).await;
            let asked = now();
            body.heartbeat = Some(Timestamp::now());
            match objects.put(&path(objects), body.bytes(), mode).await {
                Ok(put) => {
                    let version = UpdateVersion { e_tag: put.e_tag, version: put.version };
                    return Ok((Self::begin(objects, body, version, asked), note));
                }
                Err(Bad::Taken) => {}
                Err(Bad::Missing) => {
                    return Err(Trouble::new(
                        Kind::Setup,
                        "cannot be locked: there is no such bucket or container",
                    ));
                }
                Err(Bad::Refused(why)) => {
                    return Err(Trouble::new(Kind::Setup, format!("cannot be locked: {why}"))
                        .hint("writing needs the right to put objects under its key, and a store that knows conditional requests"));
                }
                Err(Bad::Open(why)) => last = why,
            }
            attempt += 1;
            if attempt > TRIES * 2 {
                return Err(Trouble::new(Kind::Read, format!("cannot be locked: {last}"))
                    .hint("run this again when the store answers; nothing was changed"));
            }
        }
    }

    fn begin(objects: &Objects, body: Body, version: UpdateVersion, asked: Duration) -> Self {
        let hold = Hold::new(asked, objects.ttl);
        let held = Arc::new(Mutex::new(Held { body, version, has_ended: false }));
        let (task_held, task_hold, task_objects) = (Arc::clone(&held), hold.clone(), objects.clone());
        let beat = async move {
            let period = task_objects.ttl / 4;
            let mut rest = period;
            loop {
                sleep(rest).await;
                // Tried again soon where it failed; a lease that is lost stays lost.
                rest = match renew(&task_objects, &task_held, &task_hold).await {
                    Ok(()) => period,
                    Err(trouble) if trouble.kind == Kind::Lost => return,
                    Err(_) => period / 4,
                };
            }
        };
        Self { hold, held, heart: Arc::new(Heart(tokio::spawn(beat))) }
    }

    pub fn hold(&self) -> Hold {
        self.hold.clone()
    }

    /// Makes sure that the lease is still ours. One that has expired while nobody took it is renewed.
    pub async fn assure(&self, objects: &Objects) -> Result<(), Trouble> {
        let mut last = Ok(());
        for _ in 0..3 {
            if self.hold.is_good() {
                return Ok(());
            }
            last = renew(objects, &self.held, &self.hold).await;
            if matches!(&last, Err(trouble) if trouble.kind == Kind::Lost) {
                break;
            }
        }
        last
    }

    /// Gives it back, if it is still ours.
    pub async fn end(&self, objects: &Objects) {
        self.heart.0.abort();
        let mut held = self.held.lock().await;
        if held.has_ended || self.hold.is_lost() {
            return;
        }
        held.has_ended = true;
        let free = Body { is_held: false, renewal: held.body.renewal + 1, ..held.body.clone() };
        for attempt in 0..TRIES {
            pause(attempt).await;
            match objects.put(&path(objects), free.bytes(), PutMode::Update(held.version.clone())).await {
                Err(Bad::Open(_)) => {}
                // Given back, or it is not ours any more.
                _ => return,
            }
        }
    }

    /// Frees the lease of this id, whoever holds it.
    pub async fn free(objects: &Objects, id: &str) -> Result<Holder, Trouble> {
        let Some((theirs, meta)) = look(objects).await?.filter(|(theirs, _)| theirs.is_held) else {
            return Err(Trouble::new(Kind::NotTheirs, "is not locked").hint("there is nothing to unlock"));
        };
        let holder = theirs.holder();
        if theirs.id != id {
            return Err(not_theirs(&holder));
        }
        let free = Body { is_held: false, renewal: theirs.renewal + 1, ..theirs };
        match objects.put(&path(objects), free.bytes(), PutMode::Update(version(&meta))).await {
            Ok(_) => Ok(holder),
            Err(Bad::Taken) => {
                Err(Trouble::new(Kind::Held, format!("is in use: {holder} renewed its lease just now"))
                    .hint("whoever renews is alive: end it there, or wait for it"))
            }
            Err(bad) => Err(Trouble::new(Kind::Write, format!("cannot be unlocked: {}", bad.says()))),
        }
    }
}

/// One renewal.
async fn renew(objects: &Objects, held: &Mutex<Held>, hold: &Hold) -> Result<(), Trouble> {
    let mut held = held.lock().await;
    if hold.is_lost() || held.has_ended {
        return Err(taken());
    }
    let asked = now();
    let next =
        Body { heartbeat: Some(Timestamp::now()), renewal: held.body.renewal + 1, ..held.body.clone() };
    match objects.put(&path(objects), next.bytes(), PutMode::Update(held.version.clone())).await {
        Ok(put) => {
            held.version = UpdateVersion { e_tag: put.e_tag, version: put.version };
            held.body = next;
            hold.renew(asked, objects.ttl);
            Ok(())
        }
        // Ours all the same, where only the answer to an earlier renewal was lost.
        Err(Bad::Taken | Bad::Missing) => match look(objects).await {
            Ok(Some((there, meta))) if there.is_held && there.id == held.body.id => {
                held.version = version(&meta);
                held.body = there;
                Err(Trouble::new(Kind::Write, "cannot be written: its lease is to be renewed again"))
            }
            Ok(_) => {
                hold.lose();
                Err(taken())
            }
            Err(trouble) => Err(trouble.writing()),
        },
        Err(bad) => Err(Trouble::new(
            Kind::Write,
            format!("cannot be written: its lease expired, and {}", bad.says()),
        )),
    }
}

fn taken() -> Trouble {
    Trouble::lost("is held by somebody else by now: the lease expired, or was unlocked")
}

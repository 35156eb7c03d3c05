//! What the ledger says happened, in order. Pure.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::fold::Impossible;
use super::line::{Line, read_line, read_newer_line};
use super::record::{
    By, Forget, How, Intent, Outcome, OutcomeKind, Override, Record, Track, Update, VERSION,
};
use super::sum::State;
use crate::subscription::{AppIdentity, AppLabel, ApprovalCode, SubscriptionKey, TenantKey};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The ledger's line.
    pub seq: u64,
    /// When, by the wall clock of whoever wrote it.
    pub at: Timestamp,
    /// The record's operation.
    pub op: &'static str,
    /// The app's label at that line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<AppLabel>,
    /// The tenant, in a store app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_code: Option<ApprovalCode>,
    /// What became of a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<OutcomeKind>,
    /// The platform's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The platform's message, not escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
    /// What the platform's support asks for, not escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_id: Option<String>,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// How many times the call was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Why, not escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How an apply ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
    /// The apply it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Uuid>,
    /// The digest of the plan that the apply carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_digest: Option<String>,
    /// What was allowed by name for that apply.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<By<'static>>,
}

/// What happened to one subscription, or to everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Of {
    /// The app, whatever its label was then.
    pub app: AppIdentity,
    /// The subscription; its label is not looked at.
    pub key: SubscriptionKey,
}

/// The entries of a ledger's whole batches (the bytes that a reading calls sound), oldest first; of one
/// subscription, or all.
///
/// # Errors
/// A line is none of the ledger's. A reading of the same bytes has refused it already.
pub fn entries(sound: &[u8], version: u32, of: Option<&Of>) -> Result<Vec<Entry>, Impossible> {
    let mut told = Told::default();
    for line in sound.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let read = if version > VERSION { read_newer_line(line) } else { read_line(line) };
        let Line { seq, records, more: _ } = read.map_err(|error| Impossible::new(error.to_string()))?;
        for record in records {
            told.tell(seq, record, of);
        }
    }
    Ok(told.entries)
}

/// Whether a state's own key names a subscription that [`entries`] can be asked for.
pub fn of(state: &State, key: &SubscriptionKey) -> Option<Of> {
    let (_, app) = state.app_labelled(&key.app)?;
    Some(Of { app: app.identity.clone(), key: key.clone() })
}

#[derive(Default)]
struct Told {
    labels: HashMap<AppLabel, AppIdentity>,
    runs: HashMap<Uuid, (String, Vec<Override>, By<'static>)>,
    entries: Vec<Entry>,
}

impl Told {
    fn tell(&mut self, seq: u64, record: Record<'_>, of: Option<&Of>) {
        let record = record.into_owned();
        if let Record::Bind(bind) = &record {
            let identity = AppIdentity { app_id: bind.app_id.clone(), base_url: bind.base_url.clone() };
            self.labels.retain(|_, known| *known != identity);
            self.labels.insert(bind.app.clone(), identity);
        }
        if let Record::Run(run) = &record {
            let digest = run.plan_digest.as_str().to_owned();
            self.runs.insert(run.run, (digest, run.overrides.clone(), run.by.clone()));
        }
        let Some(mut entry) = entry(seq, record) else { return };
        if let Some(of) = of {
            let app = entry.app.as_ref().and_then(|label| self.labels.get(label));
            let is_it = app == Some(&of.app)
                && entry.tenant_key == of.key.tenant_key
                && entry.approval_code.as_ref() == Some(&of.key.approval_code);
            if !is_it {
                return;
            }
        }
        if let Some((digest, overrides, by)) = entry.run.as_ref().and_then(|run| self.runs.get(run)) {
            entry.plan_digest.get_or_insert_with(|| digest.clone());
            entry.overrides.clone_from(overrides);
            entry.by.get_or_insert_with(|| by.clone());
        }
        self.entries.push(entry);
    }
}

fn entry(seq: u64, record: Record<'static>) -> Option<Entry> {
    let blank = |op, at| Entry {
        seq,
        at,
        op,
        app: None,
        tenant_key: None,
        approval_code: None,
        kind: None,
        code: None,
        msg: None,
        log_id: None,
        http_status: None,
        attempts: None,
        reason: None,
        how: None,
        run: None,
        plan_digest: None,
        overrides: Vec::new(),
        by: None,
    };
    let text = |text: Option<super::record::Str<'static>>| text.map(|text| text.into_string());
    Some(match record {
        Record::Init(init) => Entry { by: Some(init.by), ..blank("init", init.at) },
        Record::Bind(bind) => {
            let reason = Some(format!("{} at {} ({})", bind.app_id, bind.base_url, bind.kind.as_str()));
            Entry { app: Some(bind.app), reason, ..blank("bind", bind.at) }
        }
        Record::Track(Track { at, app, tenant_key, approval_code, by, .. }) => {
            let (app, approval_code) = (Some(app), Some(approval_code));
            Entry { app, tenant_key, approval_code, by: Some(by), ..blank("track", at) }
        }
        Record::Update(Update { at, app, tenant_key, approval_code, .. }) => {
            Entry { app: Some(app), tenant_key, approval_code: Some(approval_code), ..blank("update", at) }
        }
        Record::Forget(Forget { at, run, app, tenant_key, approval_code, reason, by }) => {
            let (app, approval_code, reason) = (Some(app), Some(approval_code), text(reason));
            Entry { app, tenant_key, approval_code, run, reason, by: Some(by), ..blank("forget", at) }
        }
        Record::Run(run) => Entry {
            run: Some(run.run),
            plan_digest: Some(run.plan_digest.into_string()),
            by: Some(run.by),
            ..blank("run", run.at)
        },
        Record::Intent(Intent { at, run, app, tenant_key, approval_code }) => {
            let (app, approval_code) = (Some(app), Some(approval_code));
            Entry { app, tenant_key, approval_code, run: Some(run), ..blank("intent", at) }
        }
        Record::Outcome(outcome) => {
            let Outcome {
                at,
                run,
                app,
                tenant_key,
                approval_code,
                kind,
                code,
                msg,
                log_id,
                http_status,
                attempts,
                reason,
            } = outcome;
            Entry {
                app: Some(app),
                tenant_key,
                approval_code: Some(approval_code),
                kind: Some(kind),
                code,
                msg: text(msg),
                log_id: text(log_id),
                http_status,
                attempts: Some(attempts),
                reason: text(reason),
                run: Some(run),
                ..blank("outcome", at)
            }
        }
        Record::End(end) => Entry { run: Some(end.run), how: Some(end.how), ..blank("end", end.at) },
        Record::Snapshot(snapshot) => {
            let snapshot = *snapshot;
            let reason = format!("{} since {}", snapshot.status.as_str(), snapshot.changed_at);
            Entry {
                app: Some(snapshot.app),
                tenant_key: snapshot.tenant_key,
                approval_code: Some(snapshot.approval_code),
                reason: Some(reason),
                ..blank("snapshot", snapshot.at)
            }
        }
        Record::Unknown(_) => return None,
    })
}

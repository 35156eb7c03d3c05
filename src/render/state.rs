//! The state as text and as JSON.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::plan::author;
use super::{Layout, count, time};
use crate::state::{By, Id, LastOutcome, OpenIntent, State, Status, Subscription};
use crate::subscription::{AppId, AppKind, AppLabel, ApprovalCode, BaseUrl, SubscriptionKey, TenantKey};
use crate::text::{cut, pad, shown, width};

/// One subscription, as `show --format json` prints it.
#[derive(Debug, Serialize)]
pub struct View<'a> {
    app: &'a AppLabel,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_key: Option<&'a TenantKey>,
    approval_code: &'a ApprovalCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    protect: bool,
    status: Status,
    since: Timestamp,
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a LastOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_intent: Option<&'a OpenIntent>,
}

/// The whole state, as `show --format json` prints it.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    format: &'static str,
    version: u32,
    lineage: uuid::Uuid,
    serial: u64,
    written_at: Timestamp,
    written_by: &'a By<'static>,
    tracked: usize,
    apps: Vec<AppView<'a>>,
    subscriptions: Vec<View<'a>>,
}

#[derive(Debug, Serialize)]
struct AppView<'a> {
    app: &'a AppLabel,
    app_id: &'a AppId,
    base_url: &'a BaseUrl,
    kind: AppKind,
    tracked: u64,
}

/// The state as one JSON document, its subscriptions sorted by key; `which` keeps those it lists.
pub fn document(state: &State, which: fn(Status) -> bool) -> Document<'_> {
    let tracked = state.tracked_by_app();
    let mut apps: Vec<AppView<'_>> = state
        .apps()
        .map(|(index, app)| AppView {
            app: &app.label,
            app_id: &app.identity.app_id,
            base_url: &app.identity.base_url,
            kind: app.kind,
            tracked: tracked.get(&index).copied().unwrap_or(0),
        })
        .collect();
    apps.sort_by_key(|app| app.app);
    Document {
        format: "larksub.state.view",
        version: 1,
        lineage: state.lineage,
        serial: state.serial,
        written_at: state.written_at,
        written_by: &state.written_by,
        tracked: state.tracked(),
        apps,
        subscriptions: views(state, which),
    }
}

/// One subscription as JSON would show it; none for an id of another state.
pub fn view<'a>(state: &'a State, id: &'a Id, subscription: &'a Subscription) -> Option<View<'a>> {
    let Subscription {
        name,
        owner,
        protect,
        status,
        since,
        changed_at: _,
        generation,
        outcome,
        lost_intent: _,
        own_intent: _,
        last_run: _,
    } = subscription;
    Some(View {
        app: &state.app(id.app)?.label,
        tenant_key: id.tenant_key.as_ref(),
        approval_code: &id.approval_code,
        name: name.as_deref(),
        owner: owner.as_deref(),
        protect: *protect,
        status: *status,
        since: *since,
        generation: *generation,
        outcome: outcome.as_deref(),
        open_intent: subscription.open_intent(),
    })
}

fn views(state: &State, which: fn(Status) -> bool) -> Vec<View<'_>> {
    let kept = state.subscriptions().filter(|(_, subscription)| which(subscription.status));
    let views = kept.filter_map(|(id, subscription)| view(state, id, subscription));
    let mut views: Vec<View<'_>> = views.collect();
    views.sort_unstable_by_key(|view| (view.app, view.tenant_key, view.approval_code));
    views
}

/// The state as a list: a heading, then a line for each subscription that `which` keeps.
pub fn list(state: &State, path: &str, which: fn(Status) -> bool, layout: Layout) -> String {
    let mut out = String::new();
    let tracked = count(state.tracked() as u64, "tracked subscription", "tracked subscriptions");
    let _ = writeln!(
        out,
        "{}: line {}, written {} by {}; {tracked}.",
        shown(path),
        state.serial,
        time::minute(state.written_at),
        author(&state.written_by)
    );
    let views: Vec<View<'_>> = views(state, which);
    let keys: Vec<String> = views.iter().map(|view| key(view).to_string()).collect();
    let names: Vec<_> = views.iter().map(|view| shown(view.name.unwrap_or("(no name)"))).collect();
    let key_width = keys.iter().map(|key| key.len()).max().unwrap_or(0);
    let name_width = names.iter().map(|name| width(name).min(32)).max().unwrap_or(0);
    for ((view, key), name) in views.iter().zip(&keys).zip(&names) {
        let mut line = format!("{}  {}  {}", pad(key, key_width), pad(name, name_width), summary(view));
        if let Some(owner) = view.owner {
            let _ = write!(line, "  {}", shown(owner));
        }
        let line = layout.columns.map_or(line.as_str().into(), |columns| cut(&line, columns));
        let _ = writeln!(out, "{line}");
    }
    out
}

fn key(view: &View<'_>) -> SubscriptionKey {
    SubscriptionKey {
        app: view.app.clone(),
        tenant_key: view.tenant_key.cloned(),
        approval_code: view.approval_code.clone(),
    }
}

fn summary(view: &View<'_>) -> String {
    let mut text = match view.open_intent {
        Some(intent) => format!("unknown since {}", time::minute(intent.at)),
        None => format!("{} (tracked {})", view.status.as_str(), time::date(view.since)),
    };
    if view.protect && view.status == Status::Subscribed {
        text.push_str(", protected");
    }
    text
}

/// Everything the ledger says of one subscription.
pub fn details(state: &State, id: &Id, subscription: &Subscription) -> String {
    let Some(view) = view(state, id, subscription) else { return String::new() };
    let app = state.app(id.app);
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "{} {text}", pad(&format!("{name}:"), 14));
    };
    line("subscription", key(&view).to_string());
    if let Some(app) = app {
        line("app", format!("{} ({})", app.identity, app.kind.as_str()));
    }
    line("name", view.name.map_or("(none)".into(), |name| shown(name).into_owned()));
    line("owner", view.owner.map_or("(none)".into(), |owner| shown(owner).into_owned()));
    line("protect", view.protect.to_string());
    line("status", format!("{} since {}", view.status.as_str(), time::minute(subscription.changed_at)));
    line("tracked", format!("since {}, {}", time::minute(view.since), times(view.generation)));
    if let Some(intent) = view.open_intent {
        line("unknown", format!("a call of {} got no verdict (run {})", time::minute(intent.at), intent.run));
    }
    if let Some(outcome) = view.outcome {
        line("last outcome", last_outcome(outcome));
    }
    out
}

fn last_outcome(outcome: &LastOutcome) -> String {
    let LastOutcome { at, run, kind, generation: _, code, msg, log_id, http_status, attempts, reason } =
        outcome;
    let mut text =
        format!("{} {}, {}", kind.as_str(), time::minute(*at), count(u64::from(*attempts), "try", "tries"));
    if let Some(code) = code {
        let _ = write!(text, ", code {code}");
    }
    if let Some(status) = http_status {
        let _ = write!(text, ", HTTP {status}");
    }
    if let Some(msg) = msg {
        let _ = write!(text, ", \"{}\"", shown(msg));
    }
    if let Some(log_id) = log_id {
        let _ = write!(text, ", log id {}", shown(log_id));
    }
    if let Some(reason) = reason {
        let _ = write!(text, ", {}", shown(reason));
    }
    let _ = write!(text, " (run {run})");
    text
}

fn times(generation: u64) -> String {
    match generation {
        1 => "once".into(),
        generation => format!("{} times", super::grouped(generation)),
    }
}

//! `larksub import`: tracks subscriptions that exist. No call is made: the platform cannot be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use super::{Context, LOCK_WAIT, env};
use crate::cli::ImportArgs;
use crate::error::{Exit, Failure};
use crate::manifest::{self, Manifest};
use crate::render::{count, time};
use crate::state::record::{Bind, By, Track};
use crate::state::{AppIndex, Record, State, Status, Str};
use crate::subscription::{AppKind, AppLabel, ApprovalCode, SubscriptionKey, TenantKey};
use crate::text::shown;
use crate::workspace::{author, now};

/// Runs the command.
///
/// # Errors
/// An app has no section, a code is malformed or refused, or the state cannot be written; nothing is imported then.
pub fn run(context: &Context, args: &ImportArgs) -> Result<Exit, Failure> {
    let (manifest, _) = context.manifest()?;
    let wanted = wanted(&manifest, args)?;
    let (mut ledger, reading) = context.ledger(LOCK_WAIT)?;
    let by = author("import", &env);
    let import = import(&manifest, &reading.state, &wanted, args.declared, &by)?;
    ledger.append_each(&import.records)?;
    let mut said = String::new();
    for line in &import.lines {
        said.push_str(line);
        said.push('\n');
    }
    let Import { records: _, lines: _, tracked, unchanged, to_name } = import;
    let mut summary = vec![format!("{} imported", crate::render::grouped(tracked))];
    if unchanged > 0 {
        summary.push(format!("{} tracked already", crate::render::grouped(unchanged)));
    }
    if to_name > 0 {
        summary.push(format!("{} to be named as CODE", crate::render::grouped(to_name)));
    }
    said.push_str(&format!("{}.\n", summary.join(", ")));
    context.print(&said).map(|()| Exit::Done)
}

/// One subscription that a person says is there.
struct Wanted<'a> {
    label: &'a AppLabel,
    app: &'a manifest::App,
    tenant_key: Option<TenantKey>,
    approval_code: ApprovalCode,
}

impl Wanted<'_> {
    fn key(&self) -> SubscriptionKey {
        SubscriptionKey {
            app: self.label.clone(),
            tenant_key: self.tenant_key.clone(),
            approval_code: self.approval_code.clone(),
        }
    }
}

fn wanted<'a>(manifest: &'a Manifest, args: &ImportArgs) -> Result<Vec<Wanted<'a>>, Failure> {
    let label = args.app.as_ref();
    let section = |label: &AppLabel| {
        manifest.apps.get_key_value(label).ok_or_else(|| {
            let known: Vec<&str> = manifest.apps.keys().map(AppLabel::as_str).collect();
            Failure::new(Exit::Error, format!("the manifest has no app `{label}`"))
                .hint(format!("its apps are: {}; an import needs the app's section", known.join(", ")))
        })
    };
    if args.declared {
        let apps = match label {
            Some(label) => vec![section(label)?],
            None => manifest.apps.iter().collect(),
        };
        let entries = apps.into_iter().flat_map(|(label, app)| {
            app.subscriptions.iter().map(move |entry| Wanted {
                label,
                app,
                tenant_key: entry.tenant_key.clone(),
                approval_code: entry.approval_code.clone(),
            })
        });
        return Ok(entries.collect());
    }
    let Some(label) = label else {
        return Err(
            Failure::new(Exit::Error, "an import of codes needs its app").hint("name it: --app LABEL")
        );
    };
    let (label, app) = section(label)?;
    match (app.kind, &args.tenant) {
        (AppKind::Custom, Some(_)) => {
            return Err(Failure::new(
                Exit::Error,
                format!("`{label}` is a custom app, which has no tenants to choose"),
            )
            .hint("leave --tenant out; an app from the app store has `kind = \"store\"` in its section"));
        }
        (AppKind::Store, None) => {
            return Err(Failure::new(
                Exit::Error,
                format!("`{label}` is a store app: a subscription belongs to a tenant"),
            )
            .hint("name it: --tenant TENANT"));
        }
        (AppKind::Custom, None) | (AppKind::Store, Some(_)) => {}
    }
    let codes = match &args.file {
        Some(path) => read_codes(path)?,
        None => args.codes.clone(),
    };
    let mut seen = BTreeSet::new();
    let new = codes.into_iter().filter(|code| seen.insert(code.clone()));
    Ok(new
        .map(|approval_code| Wanted { label, app, tenant_key: args.tenant.clone(), approval_code })
        .collect())
}

/// The codes of a list, one a line; every line that is none is reported.
fn read_codes(path: &Path) -> Result<Vec<ApprovalCode>, Failure> {
    let place = if path == Path::new("-") {
        "standard input".into()
    } else {
        shown(&path.display().to_string()).into_owned()
    };
    let mut bytes = Vec::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().lock().read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    read.map_err(|error| {
        Failure::new(Exit::Error, format!("{place} cannot be read")).because(error.to_string())
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let mut codes = Vec::new();
    let mut failure = Failure::new(
        Exit::Error,
        format!("{place} has lines that are no approval codes; nothing was imported"),
    );
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        match line.parse() {
            Ok(code) => codes.push(code),
            Err(error) => failure = failure.because(format!("{place}:{number}: {error}")),
        }
    }
    if !failure.causes.is_empty() {
        return Err(failure.hint(
            "a code comes from the answer of \"create definition\", or from the definition's URL in the approval admin console with developer mode on",
        ));
    }
    if codes.is_empty() {
        return Err(
            Failure::new(Exit::Error, format!("{place} holds no approval code")).hint("write one a line")
        );
    }
    Ok(codes)
}

/// What an import writes and says.
struct Import {
    records: Vec<Record<'static>>,
    lines: Vec<String>,
    tracked: u64,
    unchanged: u64,
    to_name: u64,
}

fn import(
    manifest: &Manifest,
    state: &State,
    wanted: &[Wanted<'_>],
    only_new: bool,
    by: &By<'static>,
) -> Result<Import, Failure> {
    let mut import = Import { records: Vec::new(), lines: Vec::new(), tracked: 0, unchanged: 0, to_name: 0 };
    let mut labels: BTreeMap<&AppLabel, (AppLabel, Option<AppIndex>)> = BTreeMap::new();
    for want in wanted {
        if !labels.contains_key(want.label) {
            labels.insert(want.label, label_in_force(want, state, &mut import.records)?);
        }
    }
    refuse_case_twins(manifest, state, wanted)?;
    let declared = declared(manifest);
    for want in wanted {
        let Some((label, index)) = labels.get(want.label) else { continue };
        let tenant = want.tenant_key.as_ref();
        let known = index.and_then(|index| state.subscription(index, tenant, &want.approval_code));
        let key = want.key();
        let entry = declared.get(&(want.label, tenant, &want.approval_code)).copied();
        let name = entry.and_then(|entry| entry.name.as_deref());
        let named = name.map_or(String::new(), |name| format!("  {}", shown(name)));
        match known {
            Some(known) if known.is_tracked() && known.open_intent().is_none() => {
                import.unchanged += 1;
                if !only_new {
                    import.lines.push(format!("tracked already  {key}{named}"));
                }
                continue;
            }
            Some(known) if only_new => {
                import.to_name += 1;
                let was = match known.status {
                    Status::Subscribed => "unknown".into(),
                    status => format!("{} {}", status.as_str(), time::date(known.changed_at)),
                };
                import
                    .lines
                    .push(format!("not imported     {key}{named}  ({was}: name it as CODE if it lives)"));
                continue;
            }
            _ => {}
        }
        import.tracked += 1;
        // Rightly so for what is to be dropped, and a surprise in the next plan otherwise.
        let fate = if entry.is_none() { "  (not declared: the next plan drops it)" } else { "" };
        import.lines.push(format!("imported         {key}{named}{fate}"));
        import.records.push(Record::Track(Track {
            at: now(),
            app: label.clone(),
            tenant_key: want.tenant_key.clone(),
            approval_code: want.approval_code.clone(),
            name: name.map(|name| Str::from(name.to_owned())),
            owner: entry.and_then(|entry| entry.owner.clone()).map(Str::from),
            protect: entry.is_some_and(|entry| entry.protect),
            by: by.clone(),
        }));
    }
    if import.tracked == 0 {
        // A binding alone says nothing that the next import would not say again.
        import.records.clear();
    }
    Ok(import)
}

type Place<'a> = (&'a AppLabel, Option<&'a TenantKey>, &'a ApprovalCode);

fn declared(manifest: &Manifest) -> BTreeMap<Place<'_>, &manifest::Subscription> {
    let entries = manifest.apps.iter().flat_map(|(label, app)| {
        let entries = app.subscriptions.iter();
        entries.map(move |entry| ((label, entry.tenant_key.as_ref(), &entry.approval_code), entry))
    });
    entries.collect()
}

/// The label that records of this app carry: the one in force in the ledger, which a pending rename has not changed
/// yet, or a new binding.
fn label_in_force(
    want: &Wanted<'_>,
    state: &State,
    records: &mut Vec<Record<'static>>,
) -> Result<(AppLabel, Option<AppIndex>), Failure> {
    let (label, app) = (want.label, want.app);
    if let Some((_, holder)) = state.app_labelled(label).filter(|(_, holder)| holder.identity != app.identity)
    {
        let title =
            format!("`{label}` is {} in the state, and {} in the manifest", holder.identity, app.identity);
        return Err(Failure::new(Exit::Refused, title)
            .hint("a label keeps its app: give the other app a label of its own; nothing was imported"));
    }
    match state.app_of(&app.identity) {
        Some((_, known)) if known.kind != app.kind => {
            let title = format!("`{label}` is a {} app in the state", known.kind.as_str());
            Err(Failure::new(Exit::Refused, title)
                .hint(format!("an app's kind does not change: write `kind = \"{}\"`", known.kind.as_str())))
        }
        Some((index, known)) => Ok((known.label.clone(), Some(index))),
        None => {
            records.push(Record::Bind(Bind {
                at: now(),
                app: label.clone(),
                app_id: app.identity.app_id.clone(),
                base_url: app.identity.base_url.clone(),
                kind: app.kind,
            }));
            Ok((label.clone(), None))
        }
    }
}

/// Codes that differ from a tracked or declared one, or from each other, only in letter case: one of the two is
/// wrong, and dropping it later would drop the other.
fn refuse_case_twins(manifest: &Manifest, state: &State, wanted: &[Wanted<'_>]) -> Result<(), Failure> {
    let mut folded: BTreeMap<(&AppLabel, Option<&TenantKey>, String), (&ApprovalCode, &'static str)> =
        BTreeMap::new();
    let mut failure =
        Failure::new(Exit::Error, "codes that differ only in letter case; nothing was imported");
    for (label, app) in &manifest.apps {
        for entry in &app.subscriptions {
            let place = (label, entry.tenant_key.as_ref(), entry.approval_code.case_folded());
            folded.insert(place, (&entry.approval_code, "declared"));
        }
        let Some((index, _)) = state.app_of(&app.identity) else { continue };
        for (id, subscription) in state.subscriptions() {
            if id.app == index && subscription.is_tracked() {
                let place = (label, id.tenant_key.as_ref(), id.approval_code.case_folded());
                folded.insert(place, (&id.approval_code, "tracked"));
            }
        }
    }
    for want in wanted {
        let place = (want.label, want.tenant_key.as_ref(), want.approval_code.case_folded());
        match folded.get(&place) {
            Some((other, what)) if **other != want.approval_code => {
                failure = failure.because(format!("{}, and `{other}` is {what}", want.key()));
            }
            Some(_) => {}
            None => {
                folded.insert(place, (&want.approval_code, "named, too"));
            }
        }
    }
    if failure.causes.is_empty() {
        return Ok(());
    }
    let twins = count(failure.causes.len() as u64, "code", "codes");
    Err(failure.hint(format!("find out which spelling the platform uses, and correct the {twins}")))
}

//! What can be proved of a damaged ledger, or gained from a second copy of one. Pure.
//!
//! Every line whose checksum is right was written by us and is believed; what lies between such lines is lost, and
//! said to be. A record that cannot follow what is known is not made to fit, with three exceptions: an outcome
//! proves that its call was made, an intent that its run was begun, and anything about a subscription that it was
//! tracked, even where the line that said so is lost.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;

use super::fold::Impossible;
use super::pieces::pieces;
use super::read::read;
use super::record::{By, Forget, Intent, Outcome, Record, Run, Str, Track, Update};
use super::sum::{State, Status, Subscription};
use crate::subscription::{AppLabel, ApprovalCode, SubscriptionKey, TenantKey};

/// What a ledger's bytes can be believed to say.
#[derive(Debug)]
pub struct Salvage {
    /// How many bytes, from the first on, stand as they are.
    pub sound_len: usize,
    /// `seq` of the last line within them.
    pub serial: u64,
    /// Whether that line's batch goes on: then another line has to follow, even an empty one.
    pub ends_open: bool,
    /// What the later lines prove, to be written anew after them.
    pub regained: Vec<Record<'static>>,
    /// The lines, or remains of lines, that say nothing any more.
    pub lost: Vec<Lost>,
    /// The first and the last number of each run of lines that are not there, or are among what is lost.
    pub missing: Vec<(u64, u64)>,
    /// Records that cannot follow what is known, in words.
    pub unproven: Vec<String>,
    /// What it all adds up to.
    pub state: State,
}

/// A stretch of a ledger that says nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
}

/// Reads what can be believed of a damaged ledger; none where not even its first line can.
pub fn salvage(bytes: &[u8]) -> Option<Salvage> {
    let pieces = pieces(bytes);
    let mut rest = pieces.iter();
    let first = rest.next().filter(|piece| piece.offset == 0)?;
    let mut records = first.line.as_ref()?.records.clone().into_iter();
    let Some(Record::Init(init)) = records.next() else { return None };
    let mut serial = first.line.as_ref()?.seq;
    let mut regained = Vec::new();
    if !first.is_ended {
        // Its line break is gone, so nothing of the file can stay as it is, and it is written anew as well.
        serial = serial.saturating_sub(1);
        regained.push(Record::Init(init.clone()).into_owned());
    }
    let mut salvage = Salvage {
        sound_len: 0,
        serial,
        ends_open: false,
        regained,
        lost: Vec::new(),
        missing: Vec::new(),
        unproven: Vec::new(),
        state: State::begin(init, serial),
    };
    let mut is_whole = true;
    let mut seen = HashSet::new();
    let mut later: Vec<(u64, Vec<Record<'static>>)> = Vec::new();
    for piece in &pieces {
        let Some(line) = &piece.line else {
            salvage.lost.push(Lost { offset: piece.offset as u64, len: piece.len as u64 });
            is_whole = false;
            continue;
        };
        let is_first = piece.offset == 0;
        // A line that is there twice says nothing new.
        if !seen.insert((line.seq, piece.crc)) {
            is_whole = false;
            continue;
        }
        is_whole = is_whole && piece.is_ended && (is_first || line.seq == salvage.serial.saturating_add(1));
        let mut records = line.records.iter().skip(usize::from(is_first)).cloned().map(Record::into_owned);
        if !is_whole {
            later.push((line.seq, records.collect()));
            continue;
        }
        let mut taken = Vec::new();
        let refused = records.find_map(|record| match salvage.state.fold(record.clone()) {
            Ok(()) => {
                taken.push(record);
                None
            }
            Err(_) => Some(record),
        });
        if let Some(refused) = refused {
            is_whole = false;
            salvage.regained.extend(taken);
            later.push((line.seq, std::iter::once(refused).chain(records).collect()));
            continue;
        }
        salvage.sound_len = piece.offset + piece.len + 1;
        salvage.serial = line.seq;
        salvage.state.serial = line.seq;
        salvage.ends_open = line.more;
    }
    let numbers: BTreeSet<u64> = seen.iter().map(|(seq, _)| *seq).collect();
    let gaps = numbers.iter().zip(numbers.iter().skip(1));
    let gaps = gaps.map(|(before, after)| (before.saturating_add(1), after.saturating_sub(1)));
    salvage.missing = gaps.filter(|(from, to)| from <= to).collect();
    // Lines that were moved are put back: what one of them says depends on the ones before it.
    later.sort_by_key(|(seq, _)| *seq);
    let mut newest = salvage.serial;
    for (seq, records) in later {
        // A second line of one number is of another copy, as where two were merged as text.
        let is_of_this_copy = seq > newest;
        newest = newest.max(seq);
        for record in records {
            let state = &salvage.state;
            let why = if is_of_this_copy { None } else { superseded_import(state, &record) };
            let why = why.or_else(|| superseded_act(state, &record).filter(|_| !is_of_this_copy));
            if let Some(why) = why {
                salvage.unproven.push(why);
                continue;
            }
            let proven = if is_of_this_copy { lost_track(&salvage.state, &record) } else { None };
            let records = proven.into_iter().chain([record]).collect();
            let (regained, unproven) = regain(&mut salvage.state, records);
            salvage.regained.extend(regained);
            salvage.unproven.extend(unproven);
        }
    }
    Some(salvage)
}

/// The import that a later record of the same copy proves, where its own line is lost: nothing is sent, updated or
/// forgotten that is not tracked.
fn lost_track(state: &State, record: &Record<'_>) -> Option<Record<'static>> {
    let (_, name, at) = named(record).filter(|(op, ..)| *op != "track")?;
    let (app, tenant_key, approval_code) = name;
    state.app_labelled(app)?;
    let known = known(state, name);
    if known.is_some_and(Subscription::is_tracked) {
        return None;
    }
    let own = |text: Option<&String>| text.cloned().map(Str::from);
    Some(Record::Track(Track {
        at,
        app: app.clone(),
        tenant_key: tenant_key.cloned(),
        approval_code: approval_code.clone(),
        name: own(known.and_then(|known| known.name.as_ref())),
        owner: own(known.and_then(|known| known.owner.as_ref())),
        protect: known.is_some_and(|known| known.protect),
        by: By::default(),
    }))
}

/// Folds records into a state as far as they can be believed. Back come those that were, with what had to be
/// added so that they can follow, and the others in words.
fn regain(state: &mut State, records: Vec<Record<'_>>) -> (Vec<Record<'static>>, Vec<String>) {
    let mut regained = Vec::new();
    let mut unproven = Vec::new();
    for record in records {
        let record = record.into_owned();
        if is_known(state, &record) {
            continue;
        }
        for implied in implied(state, &record) {
            if state.fold(implied.clone()).is_ok() {
                regained.push(implied);
            }
        }
        match state.fold(record.clone()) {
            Ok(()) => regained.push(record),
            Err(Impossible(why)) => unproven.push(why),
        }
    }
    (regained, unproven)
}

/// What is known already adds nothing: a second `init`, a run or an end told twice.
fn is_known(state: &State, record: &Record<'_>) -> bool {
    match record {
        Record::Init(_) | Record::Unknown(_) => true,
        Record::Bind(bind) => state.app_labelled(&bind.app).is_some_and(|(_, app)| {
            app.identity.app_id == bind.app_id && app.identity.base_url == bind.base_url
        }),
        Record::Run(run) => state.run_facts(&run.run).is_some(),
        Record::End(end) => state.run_facts(&end.run).is_none_or(|run| run.end.is_some()),
        _ => false,
    }
}

/// What names a subscription in a record that can be older than what is known of it.
type Named<'a> = (&'a AppLabel, Option<&'a TenantKey>, &'a ApprovalCode);

fn named<'a>(record: &'a Record<'_>) -> Option<(&'static str, Named<'a>, Timestamp)> {
    Some(match record {
        Record::Track(Track { app, tenant_key, approval_code, at, .. }) => {
            ("track", (app, tenant_key.as_ref(), approval_code), *at)
        }
        Record::Update(Update { app, tenant_key, approval_code, at, .. }) => {
            ("update", (app, tenant_key.as_ref(), approval_code), *at)
        }
        Record::Intent(Intent { app, tenant_key, approval_code, at, .. }) => {
            ("intent", (app, tenant_key.as_ref(), approval_code), *at)
        }
        Record::Outcome(Outcome { app, tenant_key, approval_code, at, .. }) => {
            ("outcome", (app, tenant_key.as_ref(), approval_code), *at)
        }
        Record::Forget(Forget { app, tenant_key, approval_code, at, .. }) => {
            ("forget", (app, tenant_key.as_ref(), approval_code), *at)
        }
        _ => return None,
    })
}

fn known<'a>(state: &'a State, (app, tenant_key, approval_code): Named<'_>) -> Option<&'a Subscription> {
    let (index, _) = state.app_labelled(app)?;
    state.subscription(index, tenant_key, approval_code)
}

/// How a record is told of that is left out.
fn told_as(op: &str, (app, tenant_key, approval_code): Named<'_>) -> String {
    let key = SubscriptionKey {
        app: app.clone(),
        tenant_key: tenant_key.cloned(),
        approval_code: approval_code.clone(),
    };
    format!("`{op}` of {key}")
}

/// Why an import of another copy says nothing any more: it is tracked here, or known to be gone since.
fn superseded_import(state: &State, record: &Record<'_>) -> Option<String> {
    let Record::Track(track) = record else { return None };
    let (op, name, _) = named(record)?;
    let known = known(state, name)?;
    let what = told_as(op, name);
    match known.status {
        Status::Subscribed => Some(format!("{what}, which is tracked already")),
        status if known.changed_at >= track.at => Some(format!("{what}, which is {} since", status.as_str())),
        _ => None,
    }
}

/// Why what another copy did says nothing any more: it was tracked anew after that.
fn superseded_act(state: &State, record: &Record<'_>) -> Option<String> {
    let (op, name, at) = named(record)?;
    let known = known(state, name)?;
    let is_older = known.is_tracked() && known.since >= at;
    is_older.then(|| format!("{}, which was tracked anew since", told_as(op, name)))
}

/// What a record proves that the state does not know: the call of an outcome, the run of an intent.
fn implied(state: &State, record: &Record<'static>) -> Vec<Record<'static>> {
    let mut implied = Vec::new();
    let (run, at) = match record {
        Record::Intent(Intent { run, at, .. }) | Record::Outcome(Outcome { run, at, .. }) => (*run, *at),
        _ => return implied,
    };
    if state.run_facts(&run).is_none() {
        let plan_digest = Str::from(String::from("unknown"));
        implied.push(Record::Run(Run { at, run, plan_digest, overrides: Vec::new(), by: By::default() }));
    }
    if let Record::Outcome(Outcome { app, tenant_key, approval_code, .. }) = record {
        let known = state.app_labelled(app);
        let known =
            known.and_then(|(index, _)| state.subscription(index, tenant_key.as_ref(), approval_code));
        let has_intent =
            known.and_then(|known| known.own_intent.as_ref()).is_some_and(|intent| intent.run == run);
        if !has_intent {
            let (app, tenant_key, approval_code) = (app.clone(), tenant_key.clone(), approval_code.clone());
            implied.push(Record::Intent(Intent { at, run, app, tenant_key, approval_code }));
        }
    }
    implied
}

/// What another copy of the same ledger adds to this one: every record that this one does not hold, unless this one
/// knows something newer of the subscription. None where they are not of one lineage.
pub fn merge(ours: &[u8], theirs: &[u8]) -> Option<(Vec<Record<'static>>, Vec<String>)> {
    let (mut state, ours) = told(ours)?;
    let (their_state, theirs) = told(theirs)?;
    if their_state.lineage != state.lineage {
        return None;
    }
    let in_ours: HashSet<String> = ours.iter().filter_map(same).collect();
    let in_theirs: HashSet<String> = theirs.iter().filter_map(same).collect();
    let is_in = |copy: &HashSet<String>, record| same(record).is_some_and(|text| copy.contains(&text));
    // The clocks of two machines do not say what came first. That we tracked it, and that they do not know of that, does.
    let anew: HashSet<Named<'_>> = ours
        .iter()
        .filter(|record| !is_in(&in_theirs, record))
        .filter_map(|record| match record {
            Record::Track(_) => named(record).map(|(_, name, _)| name),
            Record::Snapshot(one) => Some((&one.app, one.tenant_key.as_ref(), &one.approval_code)),
            _ => None,
        })
        .collect();
    let mut regained = Vec::new();
    let mut unproven = Vec::new();
    for record in theirs.iter().filter(|record| !is_in(&in_ours, record)) {
        let why = match named(record) {
            Some(("track", ..)) => superseded_import(&state, record),
            Some((op, name, _)) if anew.contains(&name) => {
                Some(format!("{}, which was tracked anew here since", told_as(op, name)))
            }
            _ => None,
        };
        if let Some(why) = why {
            unproven.push(why);
            continue;
        }
        let (more, left_out) = regain(&mut state, vec![record.clone()]);
        regained.extend(more);
        unproven.extend(left_out);
    }
    Some((regained, unproven))
}

/// A readable ledger's state and its records.
fn told(bytes: &[u8]) -> Option<(State, Vec<Record<'static>>)> {
    let reading = read(bytes).ok()?;
    let sound = bytes.get(..usize::try_from(reading.sound_len).ok()?)?;
    let lines = pieces(sound).into_iter().filter_map(|piece| piece.line);
    let records = lines.flat_map(|line| line.records).map(Record::into_owned).collect();
    Some((reading.state, records))
}

/// A text by which a record is known again in another line.
fn same(record: &Record<'_>) -> Option<String> {
    serde_json::to_string(record).ok()
}

/// What the records of a log add: outcomes of calls that are open still. Where one is not, something newer has settled
/// it, and an old outcome would undo that.
pub fn recover(state: &mut State, records: Vec<Record<'_>>) -> (Vec<Record<'static>>, Vec<String>) {
    let mut open = Vec::new();
    let mut settled = Vec::new();
    for record in records {
        match &record {
            Record::Outcome(outcome) => match standing(state, outcome) {
                Standing::Known => {}
                Standing::Open => open.push(record),
                Standing::Settled => {
                    settled.push(format!(
                        "`outcome` of {}/{}, whose call is settled since",
                        outcome.app, outcome.approval_code
                    ));
                }
            },
            _ => open.push(record),
        }
    }
    let (regained, unproven) = regain(state, open);
    settled.extend(unproven);
    (regained, settled)
}

enum Standing {
    Known,
    Open,
    Settled,
}

/// How the call of an outcome stands in the ledger.
fn standing(state: &State, outcome: &Outcome<'_>) -> Standing {
    let known = state.app_labelled(&outcome.app).and_then(|(index, _)| {
        state.subscription(index, outcome.tenant_key.as_ref(), &outcome.approval_code)
    });
    let Some(known) = known else { return Standing::Settled };
    if known.outcome.as_ref().is_some_and(|last| last.run == outcome.run && last.at == outcome.at) {
        return Standing::Known;
    }
    let intents = [&known.own_intent, &known.lost_intent].into_iter().flatten();
    match intents.into_iter().any(|intent| intent.run == outcome.run) {
        true => Standing::Open,
        false => Standing::Settled,
    }
}

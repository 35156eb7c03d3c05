//! What must hold of every plan: a digest of what is done and of nothing else, a document that cannot be changed,
//! guards that are exact, and a reviewed plan that is told from every other one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use super::digest::{Action, Target, digest};
use super::merge::rows;
use super::review::{Agreement, Misplaced, agreement, check_place};
use super::saved::{self, NotAPlan};
use super::{Plan, Rule, Update, Verdict, compute};
use crate::manifest::{self, Given, Manifest, Policy, Span};
use crate::state::generator::{self, APPS, CODES, LABELS, LINEAGE, TENANTS};
use crate::state::read::{Reading, read};
use crate::state::record::{self, Bind, By, Intent, Outcome, Run, Track};
use crate::state::{OutcomeKind, Override, OverrideFlag, Record, State, Str};
use crate::subscription::{AppIdentity, AppKind, ApprovalCode, TenantKey};

fn at() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// What a random manifest says of one subscription.
#[derive(Debug, Clone)]
struct Says {
    what: u8,
    name: Option<String>,
    protect: bool,
}

/// A random manifest over the same apps and codes as the random ledgers.
#[derive(Debug, Clone)]
struct Wishes {
    /// For each app: whether it has a section, and whether under the label in the state.
    sections: Vec<(bool, bool, Index)>,
    says: Vec<Says>,
    policy: Policy,
    /// Every app's own.
    own: Policy,
}

fn wishes() -> impl Strategy<Value = Wishes> {
    let says = (0_u8..6, prop::option::of(generator::text()), prop::bool::weighted(0.1))
        .prop_map(|(what, name, protect)| Says { what, name, protect });
    (
        prop::collection::vec((prop::bool::weighted(0.9), prop::bool::weighted(0.8), any::<Index>()), 3),
        prop::collection::vec(says, 20),
        (prop::option::of(0_u64..5), 0_u64..101, any::<bool>()),
        (prop::option::of(0_u64..5), prop::option::of(0_u64..101), prop::option::of(any::<bool>())),
    )
        .prop_map(|(sections, says, (max_drops, percent, reason), own)| Wishes {
            sections,
            says,
            policy: policy(max_drops, Some(percent), Some(reason)),
            own: policy(own.0, own.1, own.2),
        })
}

fn policy(max_drops: Option<u64>, percent: Option<u64>, reason: Option<bool>) -> Policy {
    fn given<T>(value: T) -> Given<T> {
        Given { value, span: span() }
    }
    Policy {
        max_drops: max_drops.map(given),
        max_drop_percent: percent.map(given),
        require_reason: reason.map(given),
        ..Policy::default()
    }
}

fn span() -> Span {
    Span { source: 0, bytes: 0..0 }
}

fn manifest(wishes: &Wishes, state: &State) -> Manifest {
    let mut free: Vec<&str> = LABELS.to_vec();
    let mut apps = BTreeMap::new();
    let mut says = wishes.says.iter().cycle();
    for ((id, base_url, kind), (is_there, keeps_label, other)) in APPS.into_iter().zip(&wishes.sections) {
        if !is_there {
            continue;
        }
        let identity = AppIdentity { app_id: id.parse().unwrap(), base_url: base_url.parse().unwrap() };
        let bound = state.app_of(&identity).map(|(_, app)| app.label.as_str());
        let bound = bound.filter(|label| *keeps_label && free.contains(label));
        let label = bound.unwrap_or_else(|| free[other.index(free.len())]).to_owned();
        free.retain(|other| *other != label);
        let tenants: Vec<Option<TenantKey>> = match kind {
            AppKind::Custom => vec![None],
            AppKind::Store => TENANTS.iter().map(|tenant| Some(tenant.parse().unwrap())).collect(),
        };
        let (mut subscriptions, mut removed) = (Vec::new(), Vec::new());
        for (tenant_key, code) in tenants.iter().flat_map(|tenant| CODES.map(|code| (tenant.clone(), code))) {
            let Says { what, name, protect } = says.next().unwrap().clone();
            let approval_code: ApprovalCode = code.parse().unwrap();
            match what {
                0..2 => {
                    let span = span();
                    subscriptions.push(manifest::Subscription {
                        tenant_key,
                        approval_code,
                        name,
                        owner: None,
                        protect,
                        span,
                    });
                }
                2 | 3 => {
                    let (reason, forget, span) = (name, what == 2, span());
                    removed.push(manifest::Removed { tenant_key, approval_code, reason, forget, span });
                }
                _ => {}
            }
        }
        let app = manifest::App {
            identity,
            kind,
            rate_per_minute: 100,
            policy: wishes.own.clone(),
            subscriptions,
            removed,
            span: span(),
        };
        apps.insert(label.parse().unwrap(), app);
    }
    Manifest { policy: wishes.policy.clone(), apps, digest: format!("sha256:{:064}", 7) }
}

fn reading(ledger: &generator::Ledger) -> Reading {
    let lines = generator::lines(&ledger.batches);
    read(lines.iter().map(|(line, _)| line.as_str()).collect::<String>().as_bytes()).unwrap()
}

fn plan(manifest: &Manifest, reading: &Reading) -> Plan {
    compute(manifest, &reading.state, &reading.lines, &[])
}

fn fold(state: &mut State, record: Record<'static>) {
    let shown = format!("{record:?}");
    state.fold(record).unwrap_or_else(|error| panic!("{error}: {shown}"));
}

/// Carries a plan out in the state: all but the calls, and as many calls as there are kinds.
fn carry_out(plan: &Plan, manifest: &Manifest, state: &mut State, run: Uuid, kinds: &[OutcomeKind]) {
    let plan_digest = Str::from(plan.digest.clone());
    let by = By::default();
    fold(state, Record::Run(Run { at: at(), run, plan_digest, overrides: Vec::new(), by: by.clone() }));
    for update in &plan.updates {
        match update {
            Update::Rename { app: label, from: _ } => {
                let app = &manifest.apps[label];
                fold(
                    state,
                    Record::Bind(Bind {
                        at: at(),
                        app: label.clone(),
                        app_id: app.identity.app_id.clone(),
                        base_url: app.identity.base_url.clone(),
                        kind: app.kind,
                    }),
                );
            }
            Update::Metadata { app, tenant_key, approval_code, from: _, to } => fold(
                state,
                Record::Update(record::Update {
                    at: at(),
                    app: app.clone(),
                    tenant_key: tenant_key.clone(),
                    approval_code: approval_code.clone(),
                    name: to.name.clone().map(Str::from),
                    owner: to.owner.clone().map(Str::from),
                    protect: to.protect,
                }),
            ),
        }
    }
    for forget in &plan.forgets {
        fold(
            state,
            Record::Forget(record::Forget {
                at: at(),
                run: Some(run),
                app: forget.app.clone(),
                tenant_key: forget.tenant_key.clone(),
                approval_code: forget.approval_code.clone(),
                reason: None,
                by: by.clone(),
            }),
        );
    }
    for (call, kind) in plan.planned_calls().zip(kinds) {
        let (app, tenant_key, approval_code) =
            (call.app.clone(), call.tenant_key.cloned(), call.approval_code.clone());
        fold(
            state,
            Record::Intent(Intent {
                at: at(),
                run,
                app: app.clone(),
                tenant_key: tenant_key.clone(),
                approval_code: approval_code.clone(),
            }),
        );
        fold(
            state,
            Record::Outcome(Outcome {
                at: at(),
                run,
                app,
                tenant_key,
                approval_code,
                kind: *kind,
                code: None,
                msg: None,
                log_id: None,
                http_status: None,
                attempts: 1,
                reason: None,
            }),
        );
    }
}

fn can_be_carried_out(plan: &Plan) -> bool {
    plan.guards.iter().all(|guard| guard.rule != Rule::WrongApp)
}

const RUN: Uuid = Uuid::from_u128(0xa551);

fn kinds() -> impl Strategy<Value = Vec<OutcomeKind>> {
    use OutcomeKind::{AlreadyUnsubscribed, Failed, NotFound, Unknown, Unsubscribed};
    let kind = prop::sample::select(vec![Unsubscribed, AlreadyUnsubscribed, NotFound, Failed, Unknown]);
    prop::collection::vec(kind, 0..8)
}

/// One target, owned.
type Aim = (usize, Option<&'static str>, &'static str, u64, bool);

fn aims() -> impl Strategy<Value = BTreeSet<Aim>> {
    let tenant = prop::sample::select(vec![None, Some("t1"), Some("T1")]);
    let aim = (0_usize..3, tenant, prop::sample::select(&CODES[..]), 1_u64..3, any::<bool>());
    prop::collection::btree_set(aim, 0..4)
}

fn digest_of(lineage: u128, aims: impl IntoIterator<Item = Aim>) -> String {
    let identities = APPS.map(|(id, base_url, _)| AppIdentity {
        app_id: id.parse().unwrap(),
        base_url: base_url.parse().unwrap(),
    });
    let owned: Vec<(usize, Option<TenantKey>, ApprovalCode, u64, Action)> = aims
        .into_iter()
        .map(|(app, tenant, code, generation, calls)| {
            let action = if calls { Action::Call } else { Action::Forget };
            (app, tenant.map(|tenant| tenant.parse().unwrap()), code.parse().unwrap(), generation, action)
        })
        .collect();
    let targets = owned.iter().map(|(app, tenant_key, approval_code, generation, action)| Target {
        app: &identities[*app],
        tenant_key: tenant_key.as_ref(),
        approval_code,
        generation: *generation,
        action: *action,
    });
    digest(Uuid::from_u128(lineage), targets.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn two_digests_are_equal_exactly_where_the_same_is_done(
        one in aims(), other in aims(), lineage in 0_u128..2, other_lineage in 0_u128..2,
    ) {
        let digests = (digest_of(lineage, one.clone()), digest_of(other_lineage, other.clone()));
        prop_assert_eq!(digests.0 == digests.1, lineage == other_lineage && one == other);
        let turned = digest_of(lineage, one.into_iter().rev());
        prop_assert_eq!(digests.0, turned);
    }

    #[test]
    fn a_digest_says_nothing_of_names_order_labels_limits_and_allowances(
        ledger in generator::ledger(40), wishes in wishes(), other in wishes(),
    ) {
        let reading = reading(&ledger);
        let manifest = manifest(&wishes, &reading.state);
        let before = plan(&manifest, &reading);
        let mut changed = manifest;
        changed.policy = other.policy;
        changed.digest = "sha256:other".into();
        changed.apps = changed.apps.into_iter().map(|(label, app)| (format!("z-{label}").parse().unwrap(), app)).collect();
        for app in changed.apps.values_mut() {
            app.subscriptions.reverse();
            app.removed.reverse();
            app.rate_per_minute = 1;
            for (entry, says) in app.subscriptions.iter_mut().zip(&other.says) {
                (entry.name, entry.owner, entry.protect) = (says.name.clone(), says.name.clone(), says.protect);
            }
            for (entry, says) in app.removed.iter_mut().zip(&other.says) {
                entry.reason.clone_from(&says.name);
            }
        }
        let allowed = [Override { flag: OverrideFlag::AllowDrops, value: "9".into() }];
        let after = compute(&changed, &reading.state, &reading.lines, &allowed);
        prop_assert_eq!(&before.digest, &after.digest);
        prop_assert_eq!(before.calls, after.calls);
    }

    #[test]
    fn the_same_facts_give_the_same_bytes_which_read_back(ledger in generator::ledger(40), wishes in wishes()) {
        let once = reading(&ledger);
        let manifest = manifest(&wishes, &once.state);
        let (first, second) = (plan(&manifest, &once), plan(&manifest, &reading(&ledger)));
        let document = saved::write(&first).unwrap();
        prop_assert_eq!(&document, &saved::write(&second).unwrap());
        prop_assert_eq!(&saved::read(&document).unwrap(), &first);
        prop_assert!(!document.contains(|c| c != '\n' && crate::text::is_unseen(c)), "{document}");
        check_place(&first.facts, &manifest, &once.state, &once.lines).unwrap();
    }

    #[test]
    fn what_a_plan_counts_is_what_it_holds(ledger in generator::ledger(40), wishes in wishes()) {
        let reading = reading(&ledger);
        let manifest = manifest(&wishes, &reading.state);
        let plan = plan(&manifest, &reading);
        let rows = rows(&manifest, &reading.state);
        let tracked = rows.iter().filter(|row| row.tracked().is_some()).count() as u64;
        prop_assert_eq!(plan.facts.apps.iter().map(|app| app.tracked).sum::<u64>(), tracked);
        prop_assert!(plan.counts.tracked >= tracked);
        prop_assert_eq!(plan.counts.unknowns - plan.unsettled() + plan.counts.drops, plan.calls);
        prop_assert_eq!(plan.planned_calls().count() as u64, plan.calls);
        prop_assert_eq!(plan.refused, plan.guards.iter().any(|guard| guard.verdict == Verdict::Refused));
        // A subscription stands in one list at most, and every tracked one that goes stands in one.
        let mut keys: Vec<String> = plan.planned_calls().map(|call| format!("{}/{:?}/{}", call.app, call.tenant_key, call.approval_code)).collect();
        keys.extend(plan.forgets.iter().map(|forget| format!("{}/{:?}/{}", forget.app, forget.tenant_key.as_ref(), forget.approval_code)));
        let distinct: BTreeSet<&String> = keys.iter().collect();
        prop_assert_eq!(distinct.len(), keys.len());
        let leaving = rows.iter().filter(|row| row.tracked().is_some() && row.declared.is_none()).count();
        prop_assert_eq!(leaving, keys.len());
    }

    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_do(ledger in generator::ledger(40), wishes in wishes()) {
        let mut reading = reading(&ledger);
        let manifest = manifest(&wishes, &reading.state);
        let before = plan(&manifest, &reading);
        if !can_be_carried_out(&before) {
            return Ok(());
        }
        let kinds = vec![OutcomeKind::Unsubscribed; before.planned_calls().count()];
        carry_out(&before, &manifest, &mut reading.state, RUN, &kinds);
        let after = plan(&manifest, &reading);
        prop_assert!(!after.has_changes && after.calls == 0, "{after:?}");
        prop_assert!(after.drops.is_empty() && after.forgets.is_empty() && after.updates.is_empty());
        prop_assert!(after.unknowns.iter().all(|unknown| unknown.declared));
        let agreed = agreement(&before.digest, &after, &manifest, &reading.state);
        let had_targets = before.calls > 0 || !before.forgets.is_empty();
        prop_assert_eq!(agreed, if had_targets { Agreement::AlreadyApplied } else { Agreement::Same });
    }

    #[test]
    fn a_plan_that_was_begun_is_resumed_and_never_taken_for_another(
        ledger in generator::ledger(40), wishes in wishes(), first in kinds(), second in kinds(), other in any::<Index>(),
    ) {
        let mut reading = reading(&ledger);
        let manifest = manifest(&wishes, &reading.state);
        let reviewed = plan(&manifest, &reading);
        if !can_be_carried_out(&reviewed) {
            return Ok(());
        }
        carry_out(&reviewed, &manifest, &mut reading.state, RUN, &first);
        let digest = &reviewed.digest;
        let mut fresh = plan(&manifest, &reading);
        let expected = |fresh: &Plan| match fresh {
            fresh if fresh.digest == *digest => Agreement::Same,
            fresh if fresh.calls == 0 && fresh.forgets.is_empty() => Agreement::AlreadyApplied,
            _ => Agreement::Resumed,
        };
        prop_assert_eq!(agreement(digest, &fresh, &manifest, &reading.state), expected(&fresh));
        // It is resumed under the digest that was reviewed, as often as it takes.
        fresh.digest.clone_from(digest);
        carry_out(&fresh, &manifest, &mut reading.state, Uuid::from_u128(0xa552), &second);
        let fresh = plan(&manifest, &reading);
        prop_assert_eq!(agreement(digest, &fresh, &manifest, &reading.state), expected(&fresh));
        // Anything else that moves makes it another one: here, one more that nobody reviewed.
        let apps: Vec<_> = manifest.apps.iter().filter(|(label, app)| {
            app.kind == AppKind::Custom && reading.state.app_of(&app.identity).is_some_and(|(_, known)| known.label == **label)
        }).collect();
        if !apps.is_empty() {
            let label = apps[other.index(apps.len())].0.clone();
            track(&mut reading.state, label.as_str(), "NEW-1");
            let fresh = plan(&manifest, &reading);
            prop_assert_eq!(agreement(digest, &fresh, &manifest, &reading.state), Agreement::Different);
        }
    }
}

fn track(state: &mut State, label: &str, code: &str) {
    fold(
        state,
        Record::Track(Track {
            at: at(),
            app: label.parse().unwrap(),
            tenant_key: None,
            approval_code: code.parse().unwrap(),
            name: None,
            owner: None,
            protect: false,
            by: By::default(),
        }),
    );
}

/// A ledger of one app `hr` with these codes tracked, and a manifest that declares some of them.
struct Small {
    reading: Reading,
    manifest: Manifest,
}

fn small(tracked: usize, kept: usize, policy: &str) -> Small {
    let mut records = vec![Record::Bind(Bind {
        at: at(),
        app: "hr".parse().unwrap(),
        app_id: "cli_hr".parse().unwrap(),
        base_url: "https://open.feishu.cn".parse().unwrap(),
        kind: AppKind::Custom,
    })];
    records.extend((0..tracked).map(|number| {
        Record::Track(Track {
            at: at(),
            app: "hr".parse().unwrap(),
            tenant_key: None,
            approval_code: format!("C-{number}").parse().unwrap(),
            name: None,
            owner: None,
            protect: false,
            by: By::default(),
        })
    }));
    let init = record::Init {
        at: at(),
        format: record::FORMAT.into(),
        version: 1,
        lineage: LINEAGE,
        by: By::default(),
    };
    let batches = [
        generator::Batch { records: vec![Record::Init(init)], a_line_each: false },
        generator::Batch { records, a_line_each: true },
    ];
    let lines: String = generator::lines(&batches).into_iter().map(|(line, _)| line).collect();
    let mut toml = format!("[policy]\n{policy}\n[apps.hr]\napp_id = \"cli_hr\"\nbrand = \"feishu\"\n");
    for number in 0..kept {
        toml.push_str(&format!("[[apps.hr.subscriptions]]\napproval_code = \"C-{number}\"\n"));
    }
    Small { reading: read(lines.as_bytes()).unwrap(), manifest: parsed(&toml) }
}

fn parsed(toml: &str) -> Manifest {
    manifest::parse(&[manifest::Source { path: "larksub.toml".into(), bytes: toml.into() }]).unwrap()
}

#[test]
fn limits_hold_exactly_at_their_boundaries() {
    use Verdict::{Allowed, Passed, Refused};
    let allow = |value: &str| Override { flag: OverrideFlag::AllowDrops, value: value.into() };
    let no: &[Override] = &[];
    for (tracked, drops, policy, overrides, expected) in [
        // Strictly above a limit, and not at it.
        (9, 3, "max_drops = 3", no, vec![(Rule::MaxDrops, Passed)]),
        (9, 4, "max_drops = 3", no, vec![(Rule::MaxDrops, Refused)]),
        (9, 1, "max_drops = 0", no, vec![(Rule::MaxDrops, Refused)]),
        (9, 0, "max_drops = 0", no, vec![(Rule::MaxDrops, Passed)]),
        // Ten is where a percentage begins to mean something; 30 is the default.
        (9, 9, "", no, vec![]),
        (10, 3, "", no, vec![(Rule::MaxDropPercent, Passed)]),
        (10, 4, "", no, vec![(Rule::MaxDropPercent, Refused)]),
        // 30.1 % is above 30, and so is 30.003 %.
        (13, 4, "", no, vec![(Rule::MaxDropPercent, Refused)]),
        (3333, 1000, "", no, vec![(Rule::MaxDropPercent, Refused)]),
        (3334, 1000, "", no, vec![(Rule::MaxDropPercent, Passed)]),
        (10, 10, "max_drop_percent = 100", no, vec![(Rule::MaxDropPercent, Passed)]),
        (10, 1, "max_drop_percent = 0", no, vec![(Rule::MaxDropPercent, Refused)]),
        (10, 0, "max_drop_percent = 0", no, vec![]),
        // An allowance replaces both limits, by a number of its own.
        (
            10,
            4,
            "max_drops = 3",
            &[allow("4")],
            vec![(Rule::MaxDrops, Allowed), (Rule::MaxDropPercent, Allowed)],
        ),
        (10, 4, "max_drops = 3", &[allow("3")], vec![(Rule::MaxDrops, Refused)]),
        (9, 2, "max_drops = 3", &[allow("1")], vec![(Rule::MaxDrops, Refused)]),
        (9, 4, "max_drops = 3", &[allow("1"), allow("4")], vec![(Rule::MaxDrops, Refused)]),
        (9, 4, "max_drops = 3", &[allow("4"), allow("9")], vec![(Rule::MaxDrops, Allowed)]),
    ] {
        let small = small(tracked, tracked - drops, policy);
        let plan = compute(&small.manifest, &small.reading.state, &small.reading.lines, overrides);
        let found: Vec<_> = plan.guards.iter().map(|guard| (guard.rule, guard.verdict)).collect();
        let case = format!("{drops} of {tracked}, {policy}, {overrides:?}");
        assert_eq!(found, expected, "{case}");
        assert_eq!(plan.refused, expected.iter().any(|(_, verdict)| *verdict == Refused), "{case}");
        for guard in &plan.guards {
            assert_eq!(guard.remedy.is_some(), guard.verdict == Refused, "{case}");
        }
    }
}

#[test]
fn a_saved_plan_that_was_changed_anywhere_is_refused() {
    let small = small(2, 1, "");
    let document = saved::write(&plan(&small.manifest, &small.reading)).unwrap();
    let bytes = document.as_bytes();
    for position in 0..bytes.len() {
        let byte = bytes[position];
        let mut changes: Vec<Vec<u8>> = vec![vec![], vec![byte, byte], vec![byte ^ 1], vec![byte ^ 0x20]];
        match byte {
            b' ' => changes.push(b"\t".into()),
            b'\n' => changes.extend([b"\r\n".to_vec(), b" ".to_vec()]),
            b'{' | b'[' | b',' | b':' => changes.push(vec![byte, b' ']),
            _ => {}
        }
        for change in changes {
            let changed = [&bytes[..position], &change, &bytes[position + 1..]].concat();
            let Ok(changed) = String::from_utf8(changed) else { continue };
            if changed != document {
                assert!(saved::read(&changed).is_err(), "byte {position}:\n{changed}");
            }
        }
    }
    for cut in 0..bytes.len() {
        assert!(saved::read(&document[..cut]).is_err(), "cut at {cut}");
    }
    assert_eq!(saved::read(&document.replace('\n', "\r\n")), Err(NotAPlan::Changed));
    assert_eq!(saved::read(&format!("{document}\n")), Err(NotAPlan::Changed));
    assert!(saved::read(&format!("\u{feff}{document}")).is_err());
    let newer = document.replace("\"version\": 1", "\"version\": 2");
    assert_eq!(saved::read(&newer), Err(NotAPlan::Newer(2)));
    for other in ["", "{}", "[]", "null", "{\"format\":\"larksub.state\",\"version\":1}"] {
        assert!(matches!(saved::read(other), Err(NotAPlan::Foreign(_))), "{other}");
    }
}

#[test]
fn a_reviewed_plan_agrees_with_its_own_runs_and_with_nothing_else() {
    use OutcomeKind::{Failed, NotFound, Unknown, Unsubscribed};
    let reviewed = |small: &Small| plan(&small.manifest, &small.reading);
    let agrees = |digest: &str, small: &Small| {
        let fresh = plan(&small.manifest, &small.reading);
        agreement(digest, &fresh, &small.manifest, &small.reading.state)
    };
    let of = |kinds: &[OutcomeKind]| {
        let mut one = small(5, 2, "");
        let plan = reviewed(&one);
        carry_out(&plan, &one.manifest, &mut one.reading.state, RUN, kinds);
        (plan.digest, one)
    };
    let (digest, one) = of(&[]);
    assert_eq!(agrees(&digest, &one), Agreement::Same);
    for refused in [NotFound, Failed, Unknown] {
        let (digest, one) = of(&[refused; 3]);
        assert_eq!(agrees(&digest, &one), Agreement::Same, "{refused:?}");
        let (digest, one) = of(&[Unsubscribed, refused]);
        assert_eq!(agrees(&digest, &one), Agreement::Resumed, "{refused:?}");
    }
    let (digest, one) = of(&[Unsubscribed; 3]);
    assert_eq!(agrees(&digest, &one), Agreement::AlreadyApplied);

    // Tracked anew since: the old plan must not drop it.
    let (digest, mut one) = of(&[Unsubscribed]);
    track(&mut one.reading.state, "hr", "C-2");
    assert_eq!(agrees(&digest, &one), Agreement::Different);
    let (digest, mut one) = of(&[Unsubscribed; 3]);
    track(&mut one.reading.state, "hr", "C-2");
    assert_eq!(agrees(&digest, &one), Agreement::Different);

    // Settled by hand.
    let (digest, mut one) = of(&[Unsubscribed, Unknown]);
    fold(
        &mut one.reading.state,
        Record::Forget(record::Forget {
            at: at(),
            run: None,
            app: "hr".parse().unwrap(),
            tenant_key: None,
            approval_code: "C-3".parse().unwrap(),
            reason: None,
            by: By::default(),
        }),
    );
    assert_eq!(agrees(&digest, &one), Agreement::Different);

    // Dropped by another plan's run.
    let (digest, mut one) = of(&[Unsubscribed]);
    let mut other = plan(&one.manifest, &one.reading);
    other.digest = "sha256:other".into();
    carry_out(&other, &one.manifest, &mut one.reading.state, Uuid::from_u128(2), &[Unsubscribed]);
    assert_eq!(agrees(&digest, &one), Agreement::Different);

    // The manifest was reverted, or drops more, or forgets instead.
    for (kept, kinds, expected) in [
        (5, &[][..], Agreement::Different),
        (5, &[Unsubscribed][..], Agreement::Different),
        (5, &[Unsubscribed; 3][..], Agreement::AlreadyApplied),
        (3, &[][..], Agreement::Different),
        (1, &[][..], Agreement::Different),
        (1, &[Unsubscribed; 3][..], Agreement::Different),
        (0, &[Unsubscribed; 2][..], Agreement::Different),
    ] {
        let (digest, mut one) = of(kinds);
        one.manifest = small(0, kept, "").manifest;
        assert_eq!(agrees(&digest, &one), expected, "{kept} kept after {kinds:?}");
    }
    let (digest, mut one) = of(&[]);
    let removed = manifest::Removed {
        tenant_key: None,
        approval_code: "C-4".parse().unwrap(),
        reason: None,
        forget: true,
        span: span(),
    };
    one.manifest.apps.values_mut().for_each(|app| app.removed.push(removed.clone()));
    assert_eq!(agrees(&digest, &one), Agreement::Different);
}

#[test]
fn a_saved_plan_belongs_to_one_ledger_and_one_app() {
    let here = small(5, 2, "");
    let facts = plan(&here.manifest, &here.reading).facts;
    let check = |facts: &super::Facts, small: &Small| {
        check_place(facts, &small.manifest, &small.reading.state, &small.reading.lines)
    };
    assert_eq!(check(&facts, &here), Ok(()));

    let mut other = facts.clone();
    other.lineage = Uuid::from_u128(5);
    assert!(matches!(check(&other, &here), Err(Misplaced::Lineage { .. })));

    for (app_id, base_url) in
        [("cli_other", "https://open.feishu.cn"), ("cli_hr", "https://open.larksuite.com")]
    {
        let mut other = facts.clone();
        other.apps[0].app_id = app_id.parse().unwrap();
        other.apps[0].base_url = base_url.parse().unwrap();
        assert!(matches!(check(&other, &here), Err(Misplaced::App { .. })), "{app_id} {base_url}");
    }

    let older = small(4, 2, "");
    let expected = Misplaced::Older { serial: older.reading.state.serial, plan: facts.serial };
    assert_eq!(check(&facts, &older), Err(expected));

    // A ledger of the same lineage that went on differently, as after a merge.
    let mut fork = small(5, 2, "");
    let bytes: String = generator::lines(&[generator::Batch {
        records: vec![Record::Init(record::Init {
            at: at(),
            format: record::FORMAT.into(),
            version: 1,
            lineage: LINEAGE,
            by: By { user: Some("eve".into()), ..By::default() },
        })],
        a_line_each: false,
    }])
    .into_iter()
    .map(|(line, _)| line)
    .collect();
    fork.reading = read(bytes.as_bytes()).unwrap();
    let mut first_line = facts.clone();
    (first_line.serial, first_line.tail_crc) = (1, "00000000".into());
    assert_eq!(check(&first_line, &fork), Err(Misplaced::OtherHistory(1)));

    // A label that is gone, and an app under a new one, are the digest's matter.
    let mut other = facts;
    other.apps[0].app = "people".parse().unwrap();
    assert_eq!(check(&other, &here), Ok(()));
}

#[test]
fn a_guard_that_is_never_a_matter_of_limits_is_not_lifted_by_them() {
    let mut one = small(3, 3, "");
    let overrides: Vec<Override> = [
        (OverrideFlag::AllowDrops, "1000000"),
        (OverrideFlag::AllowHandover, "hr/C-0"),
        (OverrideFlag::AllowMisses, "hr"),
    ]
    .map(|(flag, value)| Override { flag, value: value.into() })
    .into();
    let refusals = |one: &Small| {
        let plan = compute(&one.manifest, &one.reading.state, &one.reading.lines, &overrides);
        let refused = plan.guards.into_iter().filter(|guard| guard.verdict == Verdict::Refused);
        refused.map(|guard| guard.rule).collect::<Vec<_>>()
    };
    assert_eq!(refusals(&one), []);
    let head = "[apps.hr]\napp_id = \"cli_hr\"\nbrand = \"feishu\"\n";
    let entry = |code: &str| format!("[[apps.hr.subscriptions]]\napproval_code = \"{code}\"\n");
    let (a, b) = (entry("C-0") + &entry("C-1"), entry("C-2"));
    for (toml, expected) in [
        (format!("{head}{a}{}", entry("c-2")), vec![Rule::LetterCase]),
        (format!("{}{a}{b}", head.replace("cli_hr", "cli_other")), vec![Rule::WrongApp]),
        (format!("{}{a}{b}", head.replace("feishu", "lark")), vec![Rule::WrongApp]),
        (head.replace("hr", "it").replace("cli_it", "cli_other"), vec![Rule::NoSection]),
        (format!("{head}kind = \"store\"\n"), vec![Rule::WrongApp]),
    ] {
        one.manifest = parsed(&toml);
        assert_eq!(refusals(&one), expected, "{toml}");
    }
}

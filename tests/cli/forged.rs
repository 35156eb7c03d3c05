//! A saved plan that somebody changed: ten thousand changes, and the real `apply` against a platform that counts. What
//! is done is what the manifest and the ledger give, or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use clap::Parser as _;
use larksub::cli::{self, Cli};
use larksub::commands::{Context, apply, show};
use larksub::plan::digest::{Action, Target, digest, hex};
use larksub::plan::{Base, Plan, Verdict, saved};
use larksub::state::{Override, OverrideFlag};
use larksub::subscription::AppIdentity;
use larksub::text::is_unseen;
use sha2::{Digest as _, Sha256};

use super::support::{Platform, Scratch, code, manifest};

const MUTATIONS: usize = 10_000;
/// So many that change nothing that counts are applied as well, to see that they do what the true plan does.
const SAME: usize = 60;

/// A fixed row of numbers, so that a failure happens again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }
}

/// A text with the checksum that it should have.
fn sealed(text: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let without: String =
        lines.iter().filter(|line| !line.starts_with("  \"checksum\": ")).copied().collect();
    let checksum = hex(&Sha256::digest(without.as_bytes()));
    let line = format!("  \"checksum\": \"{checksum}\",\n");
    match without.find("  \"facts\": {") {
        Some(at) => format!("{}{line}{}", &without[..at], &without[at..]),
        None => without,
    }
}

/// The same with the digest that its list of calls and forgets has.
fn consistent(mut plan: Plan) -> Plan {
    plan.counts.drops = plan.drops.len() as u64;
    plan.counts.unknowns = plan.unknowns.len() as u64;
    plan.counts.forgets = plan.forgets.len() as u64;
    plan.calls = plan.counts.drops + plan.counts.unknowns - plan.unsettled();
    plan.has_changes = plan.calls + plan.counts.forgets + plan.counts.updates > 0;
    plan.refused = plan.guards.iter().any(|guard| guard.verdict == Verdict::Refused);
    let apps: BTreeMap<_, _> = plan
        .facts
        .apps
        .iter()
        .map(|app| (&app.app, AppIdentity { app_id: app.app_id.clone(), base_url: app.base_url.clone() }))
        .collect();
    let drops = plan.drops.iter().filter_map(|drop| {
        let app = apps.get(&drop.app)?;
        let (tenant_key, approval_code) = (drop.tenant_key.as_ref(), &drop.approval_code);
        Some(Target { app, tenant_key, approval_code, generation: drop.generation, action: Action::Call })
    });
    let forgets = plan.forgets.iter().filter_map(|forget| {
        let app = apps.get(&forget.app)?;
        let (tenant_key, approval_code) = (forget.tenant_key.as_ref(), &forget.approval_code);
        Some(Target { app, tenant_key, approval_code, generation: forget.generation, action: Action::Forget })
    });
    plan.digest = digest(plan.facts.lineage, drops.chain(forgets).collect());
    plan
}

/// One changed plan, and what was done to it.
fn mutation(number: usize, text: &str, plan: &Plan, dice: &mut Dice) -> (&'static str, Vec<u8>) {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(ToOwned::to_owned).collect();
    let (one, other) = (dice.below(lines.len()), dice.below(lines.len()));
    let seal = |lines: Vec<String>| sealed(&lines.concat()).into_bytes();
    match number % 12 {
        0 | 1 => {
            let mut bytes = text.as_bytes().to_vec();
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
            ("a bit", bytes)
        }
        2 => ("cut off", text.as_bytes()[..dice.below(text.len())].to_vec()),
        3 => {
            lines.swap(one, other);
            match dice.below(2) {
                0 => ("lines swapped", lines.concat().into_bytes()),
                _ => ("lines swapped and sealed", seal(lines)),
            }
        }
        4 => {
            let line = lines[one].clone();
            lines.insert(other, line);
            ("a line twice and sealed", seal(lines))
        }
        5 => {
            lines.remove(one);
            ("a line less and sealed", seal(lines))
        }
        6 => {
            lines.insert(one, "  \"extra\": true,\n".into());
            ("an unknown key and sealed", seal(lines))
        }
        7..=10 => (
            "a value and sealed",
            value_changed(&mut lines, one, dice).map_or_else(Vec::new, |()| seal(lines)),
        ),
        _ => {
            let (what, plan) = rewritten(plan, dice);
            (what, saved::write(&plan).unwrap().into_bytes())
        }
    }
}

/// Changes the value on a line, keeping the document's form.
fn value_changed(lines: &mut [String], from: usize, dice: &mut Dice) -> Option<()> {
    let holds = |line: &str| {
        line.contains("\": ") && !line.contains("checksum") && !line.trim_end().ends_with(['{', '['])
    };
    let at = (from..lines.len()).chain(0..from).find(|at| holds(&lines[*at]))?;
    let (key, value) = lines[at].split_once("\": ")?;
    let (value, end) =
        (value.trim_end_matches([',', '\n']), if value.ends_with(",\n") { ",\n" } else { "\n" });
    let strings: Vec<String> = lines
        .iter()
        .filter_map(|line| {
            line.split_once("\": ").map(|(_, value)| value.trim_end_matches([',', '\n']).to_owned())
        })
        .filter(|value| value.starts_with('"'))
        .collect();
    let new = match value {
        "true" => "false".into(),
        "false" => "true".into(),
        "[]" | "{}" => return None,
        text if text.starts_with('"') => match dice.below(4) {
            0 => strings[dice.below(strings.len())].clone(),
            1 => format!("\"{}\"", text.trim_matches('"').chars().rev().collect::<String>()),
            2 => text.replacen(['1', '2', 'a', 'b', 'e'], "7", 1),
            _ => format!("\"{}\\u001b[2J\\u202e::error::x\"", text.trim_matches('"')),
        },
        number => number.parse::<u64>().ok()?.wrapping_add([1, 7, u64::MAX][dice.below(3)]).to_string(),
    };
    lines[at] = format!("{key}\": {new}{end}");
    Some(())
}

/// What a person who knows the format writes: whole again, with digest, counts and checksum as they have to be.
fn rewritten(plan: &Plan, dice: &mut Dice) -> (&'static str, Plan) {
    let mut forged = plan.clone();
    match dice.below(12) {
        0 => {
            forged.drops.remove(dice.below(plan.drops.len()));
            ("a drop hidden", consistent(forged))
        }
        1 => {
            let mut more = plan.drops[0].clone();
            more.approval_code = code(4 + dice.below(9)).parse().unwrap();
            forged.drops.push(more);
            ("a drop more", consistent(forged))
        }
        2 => {
            let at = dice.below(plan.drops.len());
            forged.drops[at].approval_code = code(4 + dice.below(9)).parse().unwrap();
            ("another drop shown", Plan { digest: plan.digest.clone(), ..consistent(forged) })
        }
        3 => {
            forged.drops[dice.below(plan.drops.len())].name = Some("harmless".into());
            ("another name", forged)
        }
        4 => {
            forged.drops[dice.below(plan.drops.len())].reason = Some("approved by everybody".into());
            ("another reason", forged)
        }
        5 => {
            forged.overrides.push(Override {
                flag: OverrideFlag::AllowDrops,
                value: ["99", "x", "\u{1b}[2J", ""][dice.below(4)].into(),
            });
            ("an allowance", forged)
        }
        6 => {
            forged.guards.clear();
            ("no guards", forged)
        }
        7 => {
            let (digest, manifest_digest) = (plan.digest.clone(), plan.facts.manifest_digest.clone());
            let all = plan.drops.len() as u64;
            forged.drops.iter_mut().for_each(|drop| drop.pending = true);
            let taken_back = vec!["hr/\u{1b}[2J".to_owned()];
            forged.base = Some(Base {
                digest,
                manifest_digest,
                serial: 1,
                drops: all,
                forgets: 0,
                taken_back,
                policy: None,
            });
            ("everything pending", forged)
        }
        8 => {
            forged.facts.apps[0].base_url = "https://open.feishu.cn".parse().unwrap();
            ("another place", consistent(forged))
        }
        9 => {
            forged.facts.lineage = uuid::Uuid::from_u128(dice.below(1000) as u128);
            ("another lineage", consistent(forged))
        }
        10 => {
            forged.facts.manifest_digest = plan.digest.clone();
            ("another manifest", forged)
        }
        _ => {
            forged.drops[dice.below(plan.drops.len())].generation += 1;
            ("another generation", consistent(forged))
        }
    }
}

/// Without what `apply` neither does nor compares: the pages say that a file's word is not to be taken for these.
fn meaning(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.facts.manifest_digest.clear();
    plan.base = None;
    plan.overrides.clear();
    plan.drops.iter_mut().for_each(|drop| drop.pending = false);
    for guard in &mut plan.guards {
        guard.says.clear();
        guard.remedy = None;
    }
    plan
}

/// Thirteen tracked, three to drop, one of them with a reason.
fn scratch(url: &str) -> Scratch {
    let codes: Vec<String> = (1..=13).map(code).collect();
    let scratch = Scratch::tracking(url, &codes);
    let reason = format!("\n[[apps.hr.removed]]\napproval_code = \"{}\"\nreason = \"OPS-1\"\n", code(1));
    scratch
        .write("larksub.toml", format!("[policy]\nmax_drops = 3\n\n{}{reason}", manifest(url, &codes[3..])));
    scratch
}

fn parsed(line: &str) -> Cli {
    Cli::try_parse_from(["larksub", "-q"].into_iter().chain(line.split(' '))).unwrap()
}

/// What the program does with this command line.
fn ran(cli: &Cli) -> u8 {
    let context = Context::new(&cli.global);
    let done = match &cli.command {
        cli::Command::Apply(args) => apply::run(&context, args),
        cli::Command::Show(args) => show::run(&context, args),
        other => panic!("{other:?}"),
    };
    done.unwrap_or_else(|failure| {
        context.complain(&failure);
        failure.exit
    })
    .code()
}

/// Runs in a process of its own, whose environment has the secret.
fn inside() {
    let codes: Vec<String> = (1..=13).map(code).collect();
    let platform = Platform::start(&codes, &["--limit", "1000000"]);
    let scratch = scratch(&platform.url);
    scratch.run("plan --out plan.json").exit(0);
    let (text, state) = (scratch.text("plan.json"), scratch.state());
    let plan = saved::read(&text).unwrap();
    std::env::set_current_dir(scratch.path("")).unwrap();
    // The command line is read once, and the command itself run each time.
    let apply = parsed("apply forged.json --format json");
    let shows =
        ["text", "markdown", "github", "gitlab"].map(|it| parsed(&format!("show forged.json --format {it}")));
    let expected: BTreeSet<String> = plan.drops.iter().map(|drop| drop.approval_code.to_string()).collect();
    let (mut dice, mut sent, mut number, mut changed, mut same) = (Dice(7), 0, 0, 0, 0);
    let mut told: BTreeMap<(&str, u8), u64> = BTreeMap::new();
    while changed < MUTATIONS {
        number += 1;
        let (what, bytes) = mutation(number, &text, &plan, &mut dice);
        scratch.write("forged.json", &bytes);
        let read = str::from_utf8(&bytes).ok().and_then(|text| saved::read(text).ok());
        let is_readable = read.is_some();
        let is_same = read.is_some_and(|read| meaning(&read) == meaning(&plan));
        changed += usize::from(!is_same);
        same += usize::from(is_same);
        if is_same && same > SAME {
            continue;
        }
        if is_readable && number % 5 == 0 {
            // What can be read can be shown, whatever its numbers and names.
            for show in &shows {
                assert_eq!(ran(show), 0, "{number}: {what}");
            }
        }
        let status = ran(&apply);
        *told.entry((what, status)).or_default() += 1;
        if !is_same {
            assert!(
                matches!(status, 1 | 4),
                "{number}: {what} ends {status}\n{}",
                String::from_utf8_lossy(&bytes)
            );
        }
        if status == 0 {
            // Never anything but what the true plan does.
            let calls = platform.calls();
            let new: BTreeSet<String> = calls[sent..].iter().cloned().collect();
            assert_eq!((calls.len() - sent, &new), (expected.len(), &expected), "{number}: {what}");
            sent = calls.len();
            scratch.write("larksub.state.jsonl", &state);
        } else {
            assert!(scratch.state() == state, "{number}: {what} changed the state");
        }
    }
    assert_eq!(platform.calls().len(), sent, "a call of a plan that was refused");
    for ((what, status), count) in &told {
        println!("{what}: {count} end {status}");
    }
    let refused: u64 = told.iter().filter(|((_, status), _)| *status != 0).map(|(_, count)| count).sum();
    assert!(refused >= MUTATIONS as u64, "every change of its meaning is refused: {refused}");
    scratch.write("forged.json", &text);
    assert_eq!(ran(&apply), 0, "and the true one is applied");
}

#[test]
fn no_change_of_a_saved_plan_sends_what_the_true_one_does_not() {
    if std::env::var_os("FORGED_INSIDE").is_some() {
        return inside();
    }
    let name = "forged::no_change_of_a_saved_plan_sends_what_the_true_one_does_not";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env_clear();
    let output = command.env("FORGED_INSIDE", "1").env("LARKSUB_APP_SECRET", "any").output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let tail = |text: &str| text.lines().rev().take(40).collect::<Vec<_>>().join("\n");
    assert!(output.status.success(), "{}\n{}", tail(&stdout), tail(&stderr));
    let outcomes: Vec<&str> = stdout.lines().filter(|line| line.contains(" end ")).collect();
    assert!(outcomes.len() >= 20, "{outcomes:?}");
    println!("{}", outcomes.join("\n"));
    // Ten thousand refusals, and whatever was in the files, nothing of it acts.
    assert!(stderr.matches("error: ").count() >= MUTATIONS);
    let acting = stderr.lines().find(|line| line.contains(is_unseen) || line.trim_start().starts_with("::"));
    assert_eq!(acting, None);
}

#[test]
fn the_program_refuses_forged_plans_in_their_own_words() {
    let codes: Vec<String> = (1..=13).map(code).collect();
    let platform = Platform::start(&codes, &[]);
    let scratch = scratch(&platform.url);
    scratch.run("plan --out plan.json").exit(0);
    let (text, state) = (scratch.text("plan.json"), scratch.state());
    let plan = saved::read(&text).unwrap();
    let mut dice = Dice(11);
    let mut ran = 0;
    for number in 0..60 {
        let (what, bytes) = mutation(number, &text, &plan, &mut dice);
        let read = str::from_utf8(&bytes).ok().and_then(|text| saved::read(text).ok());
        if read.is_some_and(|read| meaning(&read) == meaning(&plan)) {
            continue;
        }
        ran += 1;
        scratch.write("forged.json", &bytes);
        let done = scratch.run("apply forged.json");
        assert!(matches!(done.status, Some(1 | 4)), "{what}\n{done}");
        assert_eq!(scratch.state(), state, "{what}");
    }
    assert!(ran >= 45, "{ran}");
    let renamed = {
        let mut plan = plan.clone();
        plan.drops[0].name = Some("harmless".into());
        plan
    };
    let shown = {
        let mut plan = plan.clone();
        plan.drops[0].approval_code = code(9).parse().unwrap();
        plan
    };
    let counted = {
        let mut plan = plan.clone();
        plan.counts.drops = 2;
        plan
    };
    let sealed_json = |plan: &Plan| saved::write(plan).unwrap();
    for (forged, status, says) in [
        (sealed_json(&renamed), 4, "the plan says something else than the state that it was made from"),
        (sealed_json(&shown), 4, "it contradicts itself: its digest is not that of what it lists"),
        (sealed_json(&counted), 4, "it contradicts itself: its counts are not those of what it lists"),
        (
            sealed(&text.replacen("  \"calls\"", "  \"extra\": 1,\n  \"calls\"", 1)),
            4,
            "it contradicts itself: it has a key that no plan has",
        ),
        (
            sealed(&text.replacen("  \"calls\": 3", "  \"calls\": 3,\n  \"calls\": 3", 1)),
            4,
            "it contradicts itself: it gives a key twice",
        ),
        (
            sealed(&text.replacen("  \"version\"", "  \"version\": 1,\n  \"version\"", 1)),
            4,
            "it contradicts itself: it gives a key twice",
        ),
        (
            sealed(&text.replacen("  \"calls\": 3", "  \"calls\": \"3\"", 1)),
            4,
            "it contradicts itself: a value of it is none that a plan has there",
        ),
        (
            sealed(&text.replacen("  \"calls\": 3", "  \"calls\":   3", 1)),
            4,
            "it is not written as larksub writes it",
        ),
        (text.replace("\"calls\": 3", "\"calls\": 2"), 4, "it was changed after it was saved"),
        (text.replace("\"version\": 1", "\"version\": 9"), 1, "it is of version 9; this larksub knows 1"),
        (text[..text.len() / 2].to_owned(), 1, "it ends in the middle: it was cut off"),
        (String::new(), 1, "it is empty"),
        (scratch.text("larksub.state.jsonl"), 1, "it is a state, the ledger itself"),
        (scratch.text("larksub.toml"), 1, "it is TOML, perhaps a manifest"),
        (scratch.run("state history --format json").stdout, 1, "its `format` is `larksub.history`"),
        (scratch.run("schema plan").stdout, 1, "its `format` is not `larksub.plan`"),
        (
            "{\"version\":4,\"terraform_version\":\"1.5\",\"serial\":1}".into(),
            1,
            "its `format` is not `larksub.plan`",
        ),
    ] {
        scratch.write("forged.json", forged);
        scratch.run("apply forged.json").exit(status).says([says]);
    }
    assert!(platform.log().is_empty(), "no token was asked for, and no call sent");
    assert_eq!(scratch.state(), state);
}

#[test]
fn a_smuggled_allowance_is_all_that_a_forged_file_adds_and_it_is_recorded() {
    let codes: Vec<String> = (1..=13).map(code).collect();
    let platform = Platform::start(&codes, &[]);
    let scratch = scratch(&platform.url);
    let toml = scratch.text("larksub.toml").replace("max_drops = 3", "max_drops = 2");
    scratch.write("larksub.toml", toml);
    scratch.run("plan --out plan.json").exit(4);
    let mut forged = saved::read(&scratch.text("plan.json")).unwrap();
    forged.overrides.push(Override { flag: OverrideFlag::AllowDrops, value: "3".into() });
    scratch.write("forged.json", saved::write(&forged).unwrap());
    // Its guards say refused, and with its own allowance they would not.
    scratch.run("apply forged.json").exit(4).says(["the guards differ"]);
    assert!(platform.log().is_empty());
    for guard in forged.guards.iter_mut().filter(|guard| guard.verdict == Verdict::Refused) {
        guard.verdict = Verdict::Allowed;
        guard.remedy = None;
    }
    forged.refused = false;
    scratch.write("forged.json", saved::write(&forged).unwrap());
    scratch.run("show forged.json").exit(0).says(["allowed by name: --allow-drops 3"]);
    // The digest alone takes nobody's word.
    scratch.run(&format!("apply --digest {}", forged.digest)).exit(4);
    scratch.run("apply forged.json").exit(0).says(["allowed by name: --allow-drops 3"]);
    assert_eq!(platform.calls().len(), 3);
    scratch.run("state history").exit(0).says(["with --allow-drops 3"]);
}

#[test]
fn a_forged_name_is_not_shown_as_if_it_were_true_beside_the_state_it_was_made_from() {
    let codes: Vec<String> = (1..=13).map(code).collect();
    let platform = Platform::start(&codes, &[]);
    let scratch = scratch(&platform.url);
    scratch.run("plan --out plan.json");
    scratch.run("show plan.json").exit(0).never_says(["DO NOT BELIEVE"]);
    let mut forged = saved::read(&scratch.text("plan.json")).unwrap();
    forged.drops[0].name = Some("Old test form".into());
    scratch.write("forged.json", saved::write(&forged).unwrap());
    let says = "DO NOT BELIEVE THIS PLAN: the names, owners and dates of what goes differ";
    for form in ["text", "markdown", "html", "github"] {
        let ran = scratch.run(&format!("show forged.json --format {form}"));
        ran.exit(0);
        assert!(ran.stdout.contains(says) && ran.stderr.contains(says), "{ran}");
    }
    let ran = scratch.run("show forged.json --format json");
    assert!(ran.stdout == scratch.text("forged.json") && ran.stderr.contains(says), "{ran}");
    // What the manifest gives is compared where it is here.
    let mut reasoned = saved::read(&scratch.text("plan.json")).unwrap();
    reasoned.drops[0].reason = Some("approved by everybody".into());
    scratch.write("forged.json", saved::write(&reasoned).unwrap());
    scratch.run("show forged.json").exit(0).says(["DO NOT BELIEVE THIS PLAN: the reasons"]);
    std::fs::remove_file(scratch.path("larksub.toml")).unwrap();
    scratch.run("show forged.json").exit(0).never_says(["DO NOT BELIEVE"]);
    scratch.write("forged.json", saved::write(&forged).unwrap());
    scratch.run("show forged.json").exit(0).says([says]);
}

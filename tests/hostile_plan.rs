//! Names, owners and reasons that a stranger chose, through every form of a plan. Comments are parsed by an
//! implementation of Markdown that is not ours, with every extension of GitHub's and GitLab's switched on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/script.rs"]
mod script;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use comrak::nodes::{Node, NodeValue};
use comrak::{Arena, Options, parse_document};
use larksub::manifest::{Manifest, Source, parse};
use larksub::plan::saved::NotAPlan;
use larksub::plan::{
    self, Base, Drop, Forget, Guard, Metadata, Plan, Rule, Unknown, Untracked, Update, Verdict, merge, saved,
};
use larksub::render::markdown::{Comment, LEAST_CHARS, MOST_CHARS};
use larksub::render::{self, Layout, Paint};
use larksub::state::read::{Reading, read};
use larksub::state::{OutcomeKind, Override, OverrideFlag};
use larksub::text::{cut, is_blank, is_ci_command, is_unseen, shown};

use corpus::corpus;

/// A plan in which every place that holds foreign text holds one of these.
fn plan_of(strings: &[String]) -> Plan {
    let mut plan = facts().2;
    let at = "2026-01-02T03:04:05Z".parse().unwrap();
    for (position, text) in strings.iter().enumerate() {
        let text = Some(text.clone());
        let metadata = |text| Metadata { name: text, owner: None, protect: false };
        let (app, tenant_key) = ("hr".parse::<larksub::subscription::AppLabel>().unwrap(), None);
        let code = |kind: &str| format!("{kind}-{position}").parse().unwrap();
        plan.drops.push(Drop {
            app: app.clone(),
            tenant_key: tenant_key.clone(),
            approval_code: code("D"),
            name: text.clone(),
            owner: text.clone(),
            reason: text.clone(),
            since: at,
            generation: 1,
            outcome: (position % 7 == 0).then_some(OutcomeKind::NotFound),
            pending: position % 5 == 0,
        });
        plan.unknowns.push(Unknown {
            app: app.clone(),
            tenant_key: tenant_key.clone(),
            approval_code: code("U"),
            name: text.clone(),
            owner: text.clone(),
            reason: text.clone(),
            since: at,
            generation: 1,
            sent_at: at,
            declared: position % 2 == 0,
            pending: position % 3 == 0,
        });
        plan.forgets.push(Forget {
            app: app.clone(),
            tenant_key: tenant_key.clone(),
            approval_code: code("F"),
            name: text.clone(),
            owner: text.clone(),
            reason: text.clone(),
            since: at,
            generation: 1,
            sent_at: Some(at),
            pending: position % 2 == 0,
        });
        plan.updates.push(Update::Metadata {
            app: app.clone(),
            tenant_key: tenant_key.clone(),
            approval_code: code("M"),
            from: metadata(text.clone()),
            to: metadata(None),
        });
        plan.untracked.push(Untracked {
            app,
            tenant_key,
            approval_code: code("N"),
            name: text.clone(),
            owner: text,
            was: None,
            since: None,
        });
    }
    counted(plan)
}

fn counted(mut plan: Plan) -> Plan {
    let unsettled = plan.unsettled();
    plan.counts.drops = plan.drops.len() as u64;
    plan.counts.unknowns = plan.unknowns.len() as u64;
    plan.counts.forgets = plan.forgets.len() as u64;
    plan.counts.updates = plan.updates.len() as u64;
    plan.counts.untracked = plan.untracked.len() as u64;
    plan.calls = plan.counts.drops + plan.counts.unknowns - unsettled;
    plan.counts.tracked = plan.calls + 10;
    plan.has_changes = true;
    plan
}

/// The same in what only a saved plan of somebody else's could hold: a guard's sentences and an allowance.
fn forged(mut plan: Plan, text: &str) -> Plan {
    for verdict in [Verdict::Refused, Verdict::Allowed] {
        plan.guards.push(Guard {
            rule: Rule::Handover,
            verdict,
            app: Some("hr".parse().unwrap()),
            key: Some(text.into()),
            measured: None,
            of: None,
            limit: None,
            says: text.into(),
            remedy: Some(text.into()),
        });
    }
    plan.overrides.push(Override { flag: OverrideFlag::AllowHandover, value: text.into() });
    let base = plan.base.get_or_insert_with(|| Base {
        digest: plan.digest.clone(),
        manifest_digest: plan.digest.clone(),
        serial: 1,
        drops: 1,
        forgets: 1,
        taken_back: Vec::new(),
        policy: None,
    });
    base.taken_back.push(text.into());
    plan
}

fn facts() -> (Manifest, Reading, Plan) {
    manifest_and_state(
        "[apps.hr]\napp_id = \"cli_1\"\nbrand = \"feishu\"\n",
        "bind hr cli_1 https://open.feishu.cn\n",
    )
}

fn manifest_and_state(toml: &str, told: &str) -> (Manifest, Reading, Plan) {
    let manifest = parse(&[Source { path: "larksub.toml".into(), bytes: toml.into() }]).unwrap();
    let reading = read(script::ledger(told).as_bytes()).unwrap();
    let plan = plan::compute(&manifest, &reading.state, &reading.lines, &[]);
    (manifest, reading, plan)
}

fn markdown(plan: &Plan, max_chars: usize) -> String {
    render::markdown::text(plan, &Comment { key: None, saved: Some("plan.json"), stale: None, max_chars })
}

fn github(plan: &Plan) -> String {
    render::github::text(plan, None, &|_| None)
}

/// Nothing unseen, no line that a CI system reads.
fn is_tame(text: &str, place: &str) {
    assert!(!text.contains(|c| c != '\n' && is_unseen(c)), "{place}\n{text}");
    for line in text.lines() {
        assert!(!line.trim_start().starts_with("::"), "{place}\n{line}");
        assert!(!line.match_indices("##").any(|(at, _)| is_ci_command(&line[at..])), "{place}\n{line}");
    }
}

fn options() -> Options<'static> {
    let mut options = Options::default();
    let all = &mut options.extension;
    for on in [
        &mut all.strikethrough,
        &mut all.table,
        &mut all.autolink,
        &mut all.tasklist,
        &mut all.superscript,
        &mut all.footnotes,
        &mut all.inline_footnotes,
        &mut all.description_lists,
        &mut all.multiline_block_quotes,
        &mut all.alerts,
        &mut all.math_dollars,
        &mut all.math_code,
        &mut all.shortcodes,
        &mut all.wikilinks_title_after_pipe,
        &mut all.subscript,
        &mut all.highlight,
        &mut all.insert,
        &mut all.spoiler,
        &mut all.cjk_friendly_emphasis,
    ] {
        *on = true;
    }
    options.parse.relaxed_autolinks = true;
    options.parse.tasklist_in_table = true;
    options
}

/// The tree of a comment: the kinds of its nodes with their depth, and the texts of its code spans.
fn tree(text: &str) -> (String, Vec<String>) {
    let arena = Arena::new();
    let root = parse_document(&arena, text, &options());
    let (mut shape, mut spans) = (String::new(), Vec::new());
    walk(root, 0, &mut shape, &mut spans);
    (shape, spans)
}

fn walk<'a>(node: Node<'a>, depth: usize, shape: &mut String, spans: &mut Vec<String>) {
    let value = node.data.borrow().value.clone();
    let kind = match &value {
        NodeValue::Document => "document".into(),
        NodeValue::Paragraph => "paragraph".into(),
        NodeValue::Heading(heading) => format!("heading {}", heading.level),
        NodeValue::Strong => "strong".into(),
        NodeValue::SoftBreak => "break".into(),
        NodeValue::Table(table) => format!("table {}", table.num_columns),
        NodeValue::TableRow(_) => "row".into(),
        NodeValue::TableCell => "cell".into(),
        NodeValue::CodeBlock(block) => {
            assert_eq!(block.info, "sh");
            assert_eq!(block.literal.lines().count(), 1, "{}", block.literal);
            "command".into()
        }
        NodeValue::HtmlBlock(block) => {
            let ours = ["<details><summary>", "</details>", "<!-- larksub-plan key="];
            let line = block.literal.trim_end();
            assert!(ours.iter().any(|it| line.starts_with(it)) && line.lines().count() == 1, "{line}");
            assert!(line.matches('<').count() <= 3, "{line}");
            format!("html {}", line.chars().take(12).collect::<String>())
        }
        NodeValue::Text(text) => {
            // A filter over the finished page could make something of these.
            assert!(
                !text.contains(['@', '#', '<', '>', '$', '!', '&', '~', '*', '_', '[', '|', '\\']),
                "{text}"
            );
            assert!(!text.contains("://") && !text.contains("www"), "{text}");
            "text".into()
        }
        NodeValue::Code(code) => {
            spans.push(code.literal.clone());
            "code".into()
        }
        other => panic!("nobody wrote a {other:?}"),
    };
    let _ = writeln!(shape, "{}{kind}", " ".repeat(depth));
    for child in node.children() {
        walk(child, depth + 1, shape, spans);
    }
}

/// What a code span holds of a foreign text, told independently of the code that writes it.
fn expected(text: &str, most: usize) -> String {
    let escaped = shown(text).replace('`', "\\u{60}").replace('|', "\\u{7c}");
    let words: Vec<&str> = escaped.split(' ').filter(|word| !word.is_empty()).collect();
    cut(words.join(" ").trim(), most).into_owned()
}

#[test]
fn no_foreign_text_changes_the_shape_of_a_comment() {
    let corpus = corpus();
    assert!(corpus.len() >= 700, "{}", corpus.len());
    let plain = tree(&markdown(&plan_of(&["x".into()]), MOST_CHARS)).0;
    let mut tried = 0;
    for text in &corpus {
        let plan = plan_of(std::slice::from_ref(text));
        let comment = markdown(&plan, MOST_CHARS);
        is_tame(&comment, text);
        let (shape, spans) = tree(&comment);
        let is_missing = is_blank(text);
        if !is_missing && text.chars().count() < 1000 {
            assert_eq!(shape, plain, "{text:?}\n{comment}");
            for (most, places) in [(80, 5), (40, 4), (300, 3)] {
                let expected = expected(text, most);
                let found = spans.iter().filter(|span| **span == expected).count();
                assert!(found >= places, "{text:?}: {found} of {expected}\n{comment}");
            }
        }
        tried += 1;
    }
    println!("{tried} texts in 15 places of a comment");
}

#[test]
fn no_forged_sentence_becomes_anything_but_text_and_code() {
    for text in &corpus() {
        for is_refused in [true, false] {
            let plan = Plan { refused: is_refused, ..forged(facts().2, text) };
            let plan = Plan { has_changes: true, ..plan };
            let comment = markdown(&plan, MOST_CHARS);
            is_tame(&comment, text);
            let (shape, _) = tree(&comment);
            assert_eq!(shape.matches("table").count(), 3, "{text:?}\n{comment}");
            assert_eq!(shape.matches("  row\n").count(), 6, "{text:?}\n{comment}");
            assert_eq!(shape.matches("html").count(), 1, "{text:?}\n{comment}");
            assert_eq!(shape.matches("command").count(), usize::from(!is_refused), "{text:?}\n{comment}");
        }
    }
}

#[test]
fn no_foreign_text_acts_in_any_other_form() {
    for text in &corpus() {
        let plan = forged(plan_of(std::slice::from_ref(text)), text);
        let screen = Layout { paint: Paint::Plain, columns: Some(80), lines: Some(24) };
        for layout in [Layout::PLAIN, screen] {
            is_tame(&render::plan::text(&plan, None, layout), text);
        }
        is_tame(&saved::write(&plan).unwrap(), text);
        // What it lists is made up here, and no digest is of it.
        assert!(matches!(saved::read(&saved::write(&plan).unwrap()), Err(NotAPlan::Untrue(_))));
        assert_eq!(
            render::gitlab::text(&plan),
            format!("{{\"create\":0,\"update\":0,\"delete\":{}}}\n", plan.calls)
        );
        let outputs = render::github::outputs(&plan);
        let (drops, own) = (plan.calls, plan.own_calls());
        let lines = format!("has_changes=true\ndrops={drops}\nown_drops={own}\ndigest={}\n", plan.digest);
        assert_eq!(outputs, lines);
        annotations(&github(&plan), text);
    }
}

#[test]
fn no_plan_pushes_its_verdict_off_a_screen() {
    let corpus = corpus();
    for texts in [&corpus[..1], &corpus[..30], &corpus] {
        let mut plan = plan_of(texts);
        for (number, text) in texts.iter().enumerate() {
            plan = forged(plan, text);
            let rule = [Rule::Protected, Rule::Reason, Rule::MaxDrops, Rule::NoSection][number % 4];
            if let Some(guard) = plan.guards.last_mut() {
                (guard.rule, guard.verdict) = (rule, Verdict::Refused);
            }
        }
        let plan = Plan { refused: true, ..plan };
        for (columns, rows) in [(80, 23), (80, 17), (100, 40), (200, 60)] {
            let screen = Layout { paint: Paint::Plain, columns: Some(columns), lines: Some(rows) };
            let text = render::plan::text(&plan, None, screen);
            let seen: usize =
                text.lines().map(|line| larksub::text::width(line).div_ceil(columns).max(1)).sum();
            assert!(seen <= rows, "{seen} of {rows}\n{text}");
            assert!(text.starts_with("REFUSED by "), "{text}");
            // The only drop of the first plan is pending on main already.
            assert!(texts.len() == 1 || text.contains(" out: "), "{text}");
            assert!(text.contains(" call, ") || text.contains(" calls, "), "{text}");
        }
    }
}

fn annotations(text: &str, place: &str) {
    assert!(text.len() < 60_000, "{place}");
    let mut rest = String::new();
    for kind in ["error", "warning", "notice"] {
        let lines = text.lines().filter(|line| line.starts_with(&format!("::{kind} ")));
        assert!(lines.count() <= 9, "{place}\n{text}");
    }
    for line in text.lines() {
        let known = ["::error ", "::warning ", "::notice "].iter().find_map(|kind| line.strip_prefix(kind));
        let (properties, message) =
            known.unwrap_or_else(|| panic!("{place}\n{line}")).split_once("::").unwrap();
        assert!(properties.starts_with("title=") && !properties.contains([',', ':']), "{place}\n{line}");
        let _ = writeln!(rest, ".{message}");
    }
    is_tame(&rest, place);
}

#[test]
fn no_foreign_text_acts_in_a_diff() {
    let escaped = |text: &str, begin: &str, end: &str, width: usize| {
        text.chars().map(|c| format!("\\{begin}{:0width$x}{end}", u32::from(c))).collect::<String>()
    };
    let mut toml = String::from("[apps.hr]\napp_id = \"cli_1\"\nbrand = \"feishu\"\n");
    let mut told = String::from("bind hr cli_1 https://open.feishu.cn\n");
    for (position, text) in corpus().iter().filter(|text| text.chars().count() < 1000).enumerate() {
        let [in_toml, in_state] = [escaped(text, "U", "", 8), escaped(text, "u{", "}", 1)];
        let _ = writeln!(
            toml,
            "[[apps.hr.subscriptions]]\napproval_code = \"A-{position}\"\nname = \"{in_toml}\"\nowner = \"{in_toml}\""
        );
        let _ = writeln!(told, "track hr/B-{position} name=\"{in_state}\" owner=\"{in_state}\"");
    }
    let (manifest, reading, plan) = manifest_and_state(&toml, &told);
    assert!(plan.counts.drops >= 700 && plan.counts.untracked >= 700);
    let rows = merge::rows(&manifest, &reading.state);
    is_tame(&render::diff::unified(&rows, "state", "manifest", Paint::Plain), "diff");
    is_tame(&render::plan::text(&plan, None, Layout::PLAIN), "text");
    annotations(&github(&plan), "github");
}

#[test]
fn a_comment_is_never_larger_than_its_limit() {
    let corpus = corpus();
    let mut all = plan_of(&corpus);
    for text in &corpus {
        all = forged(all, text);
    }
    for plan in [Plan { refused: true, ..all.clone() }, all] {
        for max_chars in [LEAST_CHARS, 2_500, 4_000, 8_000, 20_000, MOST_CHARS, 200_000] {
            let comment = markdown(&plan, max_chars);
            assert!(comment.chars().count() <= max_chars, "{} of {max_chars}", comment.chars().count());
            is_tame(&comment, "folded");
            tree(&comment);
            keeps_its_ends(&comment, &plan);
        }
    }
}

fn keeps_its_ends(comment: &str, plan: &Plan) {
    assert_eq!(comment.lines().next().unwrap(), format!("### {}", render::plan::verdict(plan, Paint::Plain)));
    let last = comment.lines().last().unwrap();
    assert!(
        last.starts_with("<!-- larksub-plan key=") && last.ends_with(&format!(" digest={} -->", plan.digest))
    );
    assert!(comment.contains(&format!("\nDigest `{}`\n", plan.digest)));
}

/// So many drops in so many apps, with names as people give them.
fn large(drops: usize, apps: usize) -> Plan {
    let mut toml = String::new();
    let mut told = String::new();
    for app in 0..apps {
        let _ =
            writeln!(toml, "[apps.app-{app}]\napp_id = \"cli_9dbb2dd6f5e0d1{app:02}\"\nbrand = \"feishu\"");
        let _ = writeln!(told, "bind app-{app} cli_9dbb2dd6f5e0d1{app:02} https://open.feishu.cn");
    }
    let mut plan = manifest_and_state(&toml, &told).2;
    for number in 0..drops {
        let app = number * apps / drops;
        plan.drops.push(Drop {
            app: format!("app-{app}").parse().unwrap(),
            tenant_key: None,
            approval_code: format!("7C468A54-8745-2245-9675-{number:012}").parse().unwrap(),
            name: Some(format!("出差报销 Travel request {number}")),
            owner: (number % 10 != 3).then(|| "people-platform".into()),
            reason: (number % 3 == 0).then(|| format!("form retired, OPS-{number}")),
            since: "2026-01-02T03:04:05Z".parse().unwrap(),
            generation: 1,
            outcome: None,
            pending: false,
        });
    }
    counted(plan)
}

#[test]
fn what_does_not_fit_is_counted_and_said() {
    for (drops, apps) in [(3, 1), (40, 3), (1000, 4), (100_000, 7)] {
        let plan = large(drops, apps);
        let begun = Instant::now();
        let comment = markdown(&plan, MOST_CHARS);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
        let chars = comment.chars().count();
        assert!(chars <= MOST_CHARS);
        keeps_its_ends(&comment, &plan);
        let listed = comment.lines().filter(|line| line.starts_with("| `7C468A54-")).count();
        let says = format!(
            "**{} of {} drops are not listed here**",
            render::grouped((drops - listed) as u64),
            render::grouped(drops as u64)
        );
        assert_eq!(comment.contains(&says), listed < drops, "{listed}");
        assert!(listed == drops || chars > MOST_CHARS * 98 / 100, "no room is wasted: {chars}");
        // The first and the last of each app.
        for number in
            (0..drops).filter(|n| *n == 0 || *n + 1 == drops || n * apps / drops != (n - 1) * apps / drops)
        {
            assert!(comment.contains(&format!("-{number:012}`")), "{number}");
        }
        let texts = [
            ("text", render::plan::text(&plan, None, Layout::PLAIN)),
            ("markdown", comment),
            ("github", github(&plan)),
            ("gitlab", render::gitlab::text(&plan)),
        ];
        for (name, text) in texts {
            println!(
                "{drops} drops, {apps} apps, {name}: {} characters, {} lines ({took:?})",
                text.chars().count(),
                text.lines().count()
            );
        }
    }
}

#[test]
fn of_many_apps_the_first_are_listed() {
    let plan = large(1000, 100);
    let comment = markdown(&plan, 4_000);
    let listed = comment.lines().filter(|line| line.starts_with("| `7C468A54-")).count();
    assert!(listed >= 6, "{comment}");
    let heads: Vec<&str> = comment.lines().filter(|line| line.starts_with("#### ")).collect();
    assert!(heads[0].starts_with("#### `app-0`: 10 of "), "{comment}");
    let says =
        format!("**… and {} drops in {} more apps, not listed**", 1000 - heads.len() * 10, 100 - heads.len());
    assert!(comment.contains(&says), "{says}\n{comment}");
}

#[test]
fn a_forged_digest_is_no_plan() {
    let plan = Plan { digest: "sha256:x -->\n@team".into(), ..facts().2 };
    assert!(saved::read(&saved::write(&plan).unwrap()).is_err());
}

#[test]
fn more_than_nine_of_a_kind_are_counted() {
    let mut plan = plan_of(&vec!["x".to_string(); 30]);
    for _ in 0..9 {
        plan = forged(plan, "x");
    }
    let text = github(&plan);
    assert_eq!(text.matches("::error ").count(), 9);
    assert_eq!(text.matches("::warning ").count(), 9);
    assert!(text.contains("::warning title=larksub plan::and 23 more subscriptions are unknown"), "{text}");
}

/// The page as an independent parser reads it: each element with its attributes, in order.
fn elements(page: &str) -> Vec<String> {
    let tree = scraper::Html::parse_document(page);
    assert_eq!(tree.errors.len(), 0, "{:?}\n{page}", tree.errors);
    let elements = tree.root_element().descendants().filter_map(scraper::ElementRef::wrap);
    elements
        .map(|element| {
            let mut attributes: Vec<String> =
                element.value().attrs().map(|(name, value)| format!(" {name}={value}")).collect();
            attributes.sort();
            format!("{}{}", element.value().name(), attributes.concat())
        })
        .collect()
}

/// Whether an element is one that a page may have.
fn is_ours(element: &str) -> bool {
    const NAMES: [&str; 37] = [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "section",
        "footer",
        "h1",
        "h2",
        "h3",
        "p",
        "ul",
        "li",
        "b",
        "bdi",
        "code",
        "pre",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "dl",
        "dt",
        "dd",
        "span",
        "figure",
        "figcaption",
        "svg",
        "path",
    ];
    let mut parts = element.split(' ');
    let name = parts.next().unwrap();
    let attributes = ["class=", "scope=", "lang=", "charset=", "http-equiv=", "content=", "name="];
    NAMES.contains(&name)
        && (name == "meta"
            || parts.all(|part| attributes.iter().any(|it| part.starts_with(it)) || !part.contains('=')))
}

#[test]
fn no_foreign_text_changes_the_shape_of_a_page() {
    let plain = elements(&render::html::plan(&forged(plan_of(&["x".into()]), "x"), Some("plan.json"), None));
    assert!(plain.len() > 100 && plain.iter().all(|it| is_ours(it)), "{plain:#?}");
    let mut tried = 0;
    for text in &corpus() {
        let plan = forged(plan_of(std::slice::from_ref(text)), text);
        let page = render::html::plan(&plan, Some(text), None);
        is_tame(&page, text);
        let lower = page.to_lowercase();
        assert!(!lower.contains("<script") && !lower.contains("<img"), "{page}");
        let found = elements(&page);
        if is_blank(text) {
            // What is not there stands out as that.
            assert!(found.iter().all(|it| is_ours(it)), "{text:?}");
        } else {
            // A sentence of this program's has code between backticks.
            let but_code =
                |all: &[String]| all.iter().filter(|it| *it != "code").cloned().collect::<Vec<_>>();
            assert_eq!(but_code(&found), but_code(&plain), "{text:?}\n{page}");
        }
        tried += 1;
    }
    println!("{tried} texts in every place of a page");
}

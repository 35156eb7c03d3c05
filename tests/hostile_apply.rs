//! What the platform answers, and what people named, chosen by a stranger: through every form of an apply.
//! `tests/cli/apply_forms.rs` lets one come from a platform, and looks at what the ledger keeps of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/corpus.rs"]
mod corpus;

use std::time::Duration;

use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};
use larksub::error::Exit;
use larksub::render::ending::{self, CameTo, Ending, NotBegun};
use larksub::render::markdown::{Comment, LEAST_CHARS, MOST_CHARS};
use larksub::render::{events, html, report};
use larksub::report::{Event, LaneReport, Report, Settled, Stopped, Unrecorded};
use larksub::state::{How, OutcomeKind, Override, OverrideFlag};
use larksub::text::{is_blank, is_ci_command, is_unseen, shown};

use corpus::corpus;

const KINDS: [OutcomeKind; 5] = [
    OutcomeKind::Unsubscribed,
    OutcomeKind::AlreadyUnsubscribed,
    OutcomeKind::NotFound,
    OutcomeKind::Failed,
    OutcomeKind::Unknown,
];

/// A run in which every place that holds foreign text holds this one.
fn report_of(text: &str) -> Report {
    let foreign = || Some(text.to_owned());
    let settled = |(number, kind): (usize, OutcomeKind)| Settled {
        key: format!("hr/A-{number}").parse().unwrap(),
        name: foreign(),
        kind,
        code: Some(1_390_001),
        msg: foreign(),
        log_id: foreign(),
        http_status: Some(400),
        attempts: 2,
        reason: foreign(),
        at: "2026-01-02T03:04:05Z".parse().unwrap(),
    };
    let outcomes: Vec<Settled> = KINDS.into_iter().enumerate().map(settled).collect();
    Report {
        run: Some(uuid::Uuid::nil()),
        lanes: vec![LaneReport {
            app: "hr".parse().unwrap(),
            tenant_key: None,
            rate_per_minute: Some(100),
            calls: 5,
            before: vec![Duration::from_secs(10)],
            answered: (1..6).map(Duration::from_secs).collect(),
        }],
        settled: outcomes.clone(),
        pending: vec!["hr/A-9".parse().unwrap()],
        stopped: vec![Stopped {
            app: "hr".parse().unwrap(),
            tenant_key: None,
            reason: "scope",
            says: format!("the scope is missing (code 1, \"{}\")", shown(text)),
            hint: "grant it".into(),
            troubleshooter: foreign(),
        }],
        how: How::Stopped,
        unrecorded: Some(Unrecorded { cause: text.into(), outcomes, records: Vec::new() }),
        ..Report::empty()
    }
}

fn not_begun_of(text: &str) -> NotBegun {
    let text = shown(text).into_owned();
    NotBegun {
        title: format!("{text} cannot be read"),
        causes: vec![text.clone()],
        hints: vec![text.clone()],
        drawing: format!("1 | {text}"),
        difference: Some(format!("reviewed, against now:\n- drop {text}")),
    }
}

/// Calls `look` with a run and with one that was not begun.
fn endings(text: &str, look: impl Fn(&Ending<'_>)) {
    let (report, why) = (report_of(text), not_begun_of(text));
    let overrides = [Override { flag: OverrideFlag::AllowHandover, value: text.into() }];
    let again = format!("larksub apply {}", larksub::render::markdown::word(text));
    for (came_to, exit) in [(CameTo::Ran(&report), Exit::Unwritable), (CameTo::NotBegun(&why), Exit::Refused)]
    {
        let digest = Some("sha256:0");
        look(&Ending {
            came_to,
            exit,
            plan: None,
            digest,
            overrides: &overrides,
            again: Some(&again),
            lineage: None,
        });
    }
}

fn is_tame(text: &str, place: &str) {
    assert!(!text.contains(|c| c != '\n' && is_unseen(c)), "{place:?}\n{text}");
    for line in text.lines() {
        assert!(!line.trim_start().starts_with("::"), "{place:?}\n{line}");
        assert!(!line.match_indices("##").any(|(at, _)| is_ci_command(&line[at..])), "{place:?}\n{line}");
    }
}

#[test]
fn no_foreign_text_acts_in_text_json_or_events() {
    let mut tried = 0;
    for text in &corpus() {
        endings(text, |ending| {
            is_tame(&ending::text(ending), text);
            let document = larksub::json::pretty(&report::document(ending)).unwrap();
            is_tame(&document, text);
            let read: serde_json::Value = serde_json::from_str(&document).unwrap();
            if ending.report().is_some() {
                assert_eq!(read["outcomes"][0]["msg"], **text, "what it means is untouched");
            }
            is_tame(&ending::gitlab(ending), text);
            let at = jiff::Timestamp::UNIX_EPOCH;
            let mut lines = events::finished(ending, at) + &events::note(text, at);
            for settled in ending.report().map(|report| report.settled.clone()).unwrap_or_default() {
                let remaining = Duration::ZERO;
                lines += &events::event(&Event::Settled { settled: Box::new(settled), remaining }, at);
            }
            is_tame(&lines, text);
            for line in lines.lines() {
                assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object(), "{line}");
            }
        });
        tried += 1;
    }
    println!("{tried} texts in text, json, gitlab and events");
}

#[test]
fn no_foreign_text_acts_in_annotations() {
    for text in &corpus() {
        endings(text, |ending| {
            let told = ending::github::text(ending);
            for line in told.lines() {
                let known =
                    ["::error ", "::warning ", "::notice "].iter().find_map(|it| line.strip_prefix(it));
                let (properties, message) =
                    known.unwrap_or_else(|| panic!("{text:?}\n{line}")).split_once("::").unwrap();
                assert!(
                    properties.starts_with("title=") && !properties.contains([',', ':']),
                    "{text:?}\n{line}"
                );
                is_tame(&format!(".{message}"), text);
            }
            for kind in ["::error ", "::warning "] {
                assert!(told.lines().filter(|line| line.starts_with(kind)).count() <= 9);
            }
            let outputs = ending::github::outputs(ending);
            assert_eq!(outputs.lines().count(), 9, "{outputs}");
        });
    }
}

fn shape(text: &str) -> Vec<String> {
    let mut options = Options::default();
    let all = &mut options.extension;
    for on in [
        &mut all.strikethrough,
        &mut all.table,
        &mut all.autolink,
        &mut all.tasklist,
        &mut all.superscript,
        &mut all.footnotes,
        &mut all.math_dollars,
        &mut all.math_code,
        &mut all.shortcodes,
        &mut all.alerts,
    ] {
        *on = true;
    }
    options.parse.relaxed_autolinks = true;
    let arena = Arena::new();
    let root = parse_document(&arena, text, &options);
    let kinds = root.descendants().map(|node| match &node.data.borrow().value {
        NodeValue::Text(_) | NodeValue::Code(_) | NodeValue::SoftBreak => String::new(),
        NodeValue::HtmlBlock(block) => {
            let ours = ["<details><summary>", "</details>", "<!-- larksub-apply key="];
            assert!(ours.iter().any(|it| block.literal.starts_with(it)), "{}", block.literal);
            "html".into()
        }
        NodeValue::CodeBlock(block) => format!("command of {}", block.literal.lines().count()),
        NodeValue::Table(table) => format!("table {}", table.num_columns),
        other @ (NodeValue::Document
        | NodeValue::Paragraph
        | NodeValue::Heading(_)
        | NodeValue::Strong
        | NodeValue::List(_)
        | NodeValue::Item(_)
        | NodeValue::TableRow(_)
        | NodeValue::TableCell) => {
            format!("{other:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
        }
        other => panic!("nobody wrote a {other:?}\n{text}"),
    });
    kinds.filter(|kind| !kind.is_empty()).collect()
}

#[test]
fn no_foreign_text_changes_the_shape_of_a_comment() {
    for text in &corpus() {
        endings(text, |ending| {
            for max_chars in [LEAST_CHARS, MOST_CHARS] {
                let comment = ending::markdown::text(
                    ending,
                    &Comment { key: None, saved: None, stale: None, max_chars },
                );
                assert!(comment.chars().count() <= max_chars, "{text:?}: {}", comment.chars().count());
                is_tame(&comment, text);
                let found = shape(&comment);
                assert_eq!(found.iter().filter(|it| *it == "command of 1").count(), 1, "{comment}");
                assert!(comment.trim_end().ends_with(" -->"), "{comment}");
            }
        });
    }
}

#[test]
fn no_foreign_text_changes_the_shape_of_a_page() {
    let elements = |page: &str| -> Vec<String> {
        let tree = scraper::Html::parse_document(page);
        assert_eq!(tree.errors.len(), 0, "{:?}\n{page}", tree.errors);
        let elements = tree.root_element().descendants().filter_map(scraper::ElementRef::wrap);
        let all = elements.map(|element| {
            for (name, value) in element.value().attrs() {
                assert!(
                    !name.starts_with("on") && !["src", "href", "style"].contains(&name),
                    "{name}={value}"
                );
            }
            element.value().name().to_owned()
        });
        // A sentence of this program's has code between backticks.
        all.filter(|name| name != "code").collect()
    };
    let plain = std::cell::RefCell::new(Vec::new());
    endings("x", |ending| plain.borrow_mut().push(elements(&html::ending(ending))));
    let mut tried = 0;
    for text in &corpus() {
        endings(text, |ending| {
            let page = html::ending(ending);
            is_tame(&page, text);
            let found = elements(&page);
            let expected = &plain.borrow()[usize::from(ending.report().is_none())];
            if !is_blank(text) {
                assert_eq!(&found, expected, "{text:?}\n{page}");
            }
            assert!(!found.iter().any(|it| ["script", "img", "a", "iframe", "link"].contains(&it.as_str())));
        });
        tried += 1;
    }
    println!("{tried} texts in every place of a page");
}

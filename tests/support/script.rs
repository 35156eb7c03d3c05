//! Ledgers written as a person would tell them, a record a line:
//!
//! ```text
//! bind hr cli_9dbb2dd6f5e0d104 https://open.feishu.cn
//! track hr/A-1 name="Leave request" owner=people protect at=2026-01-02
//! run 1
//! intent hr/A-1
//! outcome hr/A-1 not_found
//! end done
//! ```
//!
//! Times, runs and the lineage are fixed: a line without `at=` is a minute after the one before it. A word in quotes
//! may hold `\u{…}`, `\n` and `\"`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use larksub::state::line::write_line;
use larksub::state::record::{
    Bind, By, End, FORMAT, Forget, Init, Intent, Outcome, Run, Track, Update, VERSION,
};
use larksub::state::{How, OutcomeKind, Record, Str};
use larksub::subscription::{AppKind, SubscriptionKey};
use uuid::Uuid;

/// The lineage of every ledger that is told.
pub const LINEAGE: Uuid = Uuid::from_u128(0x0f1e_2d3c_4b5a_4978_8796_a5b4_c3d2_e1f0);

/// Who tells them.
pub fn teller() -> By<'static> {
    By {
        user: Some("ada".into()),
        host: Some("desk".into()),
        pid: Some(4711),
        command: Some("import".into()),
        ..By::default()
    }
}

/// The bytes of the ledger that a script tells of; its first line needs no telling.
pub fn ledger(script: &str) -> String {
    let mut teller = Telling { at: "2026-01-05T09:00:00Z".parse().unwrap(), run: Uuid::nil() };
    let init =
        Init { at: teller.at, format: FORMAT.into(), version: VERSION, lineage: LINEAGE, by: self::teller() };
    let mut text = write_line(1, &[Record::Init(init)], false).unwrap();
    let told = script.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    for (seq, line) in (2..).zip(told) {
        text.push_str(&write_line(seq, &[teller.record(line)], false).unwrap());
    }
    text
}

struct Telling {
    at: Timestamp,
    run: Uuid,
}

impl Telling {
    fn record(&mut self, line: &str) -> Record<'static> {
        let words = Words::of(line);
        self.at = match words.named("at") {
            Some(date) if date.len() == 10 => format!("{date}T00:00:00Z").parse().unwrap(),
            Some(at) => at.parse().unwrap(),
            None => self.at + SignedDuration::from_mins(1),
        };
        let at = self.at;
        let key =
            || words.plain[1].parse::<SubscriptionKey>().unwrap_or_else(|error| panic!("{line}: {error}"));
        let text = |name: &str| words.named(name).map(|text| Str::from(text.to_owned()));
        let has = |word: &str| words.plain.iter().any(|plain| plain == word);
        match words.plain[0].as_str() {
            "bind" => Record::Bind(Bind {
                at,
                app: words.plain[1].parse().unwrap(),
                app_id: words.plain[2].parse().unwrap(),
                base_url: words.plain[3].parse().unwrap(),
                kind: if has("store") { AppKind::Store } else { AppKind::Custom },
            }),
            "track" => {
                let SubscriptionKey { app, tenant_key, approval_code } = key();
                let (name, owner, protect) = (text("name"), text("owner"), has("protect"));
                Record::Track(Track {
                    at,
                    app,
                    tenant_key,
                    approval_code,
                    name,
                    owner,
                    protect,
                    by: teller(),
                })
            }
            "update" => {
                let SubscriptionKey { app, tenant_key, approval_code } = key();
                let (name, owner, protect) = (text("name"), text("owner"), has("protect"));
                Record::Update(Update { at, app, tenant_key, approval_code, name, owner, protect })
            }
            "forget" => {
                let SubscriptionKey { app, tenant_key, approval_code } = key();
                let reason = text("reason");
                Record::Forget(Forget { at, run: None, app, tenant_key, approval_code, reason, by: teller() })
            }
            "run" => {
                self.run = Uuid::from_u128(words.plain[1].parse().unwrap());
                let plan_digest = text("digest").unwrap_or_else(|| "sha256:told".into());
                let by = By { command: Some("apply".into()), ..teller() };
                Record::Run(Run { at, run: self.run, plan_digest, overrides: Vec::new(), by })
            }
            "intent" => {
                let SubscriptionKey { app, tenant_key, approval_code } = key();
                Record::Intent(Intent { at, run: self.run, app, tenant_key, approval_code })
            }
            "outcome" => {
                let SubscriptionKey { app, tenant_key, approval_code } = key();
                Record::Outcome(Outcome {
                    at,
                    run: self.run,
                    app,
                    tenant_key,
                    approval_code,
                    kind: kind(&words.plain[2]),
                    code: None,
                    msg: None,
                    log_id: None,
                    http_status: None,
                    attempts: 1,
                    reason: None,
                })
            }
            "end" => Record::End(End { at, run: self.run, how: how(&words.plain[1]) }),
            other => panic!("`{other}` tells nothing: {line}"),
        }
    }
}

fn kind(word: &str) -> OutcomeKind {
    serde_json::from_value(word.into()).unwrap_or_else(|_| panic!("`{word}` is no outcome"))
}

fn how(word: &str) -> How {
    serde_json::from_value(word.into()).unwrap_or_else(|_| panic!("`{word}` is no end"))
}

struct Words {
    plain: Vec<String>,
    named: BTreeMap<String, String>,
}

impl Words {
    fn of(line: &str) -> Self {
        let mut words = Self { plain: Vec::new(), named: BTreeMap::new() };
        let mut rest = line.trim();
        while !rest.is_empty() {
            let end = rest.find([' ', '=']).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            let Some(value) = behind.strip_prefix('=') else {
                words.plain.push(word.to_owned());
                rest = behind.trim_start();
                continue;
            };
            let (value, behind) = match value.strip_prefix('"') {
                Some(quoted) => unquote(quoted),
                None => {
                    let (value, behind) = value.split_at(value.find(' ').unwrap_or(value.len()));
                    (value.to_owned(), behind)
                }
            };
            words.named.insert(word.to_owned(), value);
            rest = behind.trim_start();
        }
        words
    }

    fn named(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, &quoted[at + 1..]),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => text.push('\n'),
                Some('u') => {
                    let digits: String =
                        chars.by_ref().map(|(_, c)| c).skip(1).take_while(|c| *c != '}').collect();
                    text.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap());
                }
                Some(c) => text.push(c),
                None => break,
            },
            c => text.push(c),
        }
    }
    panic!("a quote is never closed: {quoted}")
}

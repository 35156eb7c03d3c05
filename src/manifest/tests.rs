//! What right manifests mean, and that no bytes whatever bring the reading or the drawing down.

use proptest::prelude::*;

use super::*;
use crate::error::draw;
use crate::subscription::AppLabel;

const CUSTOM: &str = r#"
[policy]
max_drops = 50

[apps.hr]
app_id = "cli_9dbb2dd6f5e0d104"
brand = "feishu"

[[apps.hr.subscriptions]]
approval_code = "7C468A54-8745-2245-9675-08B7C63E7A85"
name = "Leave request"
owner = ""
protect = true

[[apps.hr.subscriptions]]
approval_code = 'B-2'

[[apps.hr.removed]]
approval_code = """5B43240B-848C-49BD-9D27-11EF0EE11234"""
reason = "form retired, OPS-123"
forget = true
"#;

const STORE: &str = r#"
apps.isv = { app_id = "cli_isv", base_url = "https://Open.Example.com:443/", kind = "store", rate_per_minute = 60 }
"#;

const STORE_ENTRIES: &str = r#"
[[apps.isv.subscriptions]]
tenant_key = "t1"
approval_code = "\u0041-1"

[[apps.isv.subscriptions]]
tenant_key = "t2"
approval_code = "A-1"

[[apps.isv.removed]]
tenant_key = "T1"
approval_code = "A-1"
"#;

fn sources(texts: &[&str]) -> Vec<Source> {
    let source = |(index, text): (usize, &&str)| Source {
        path: format!("{index}.toml"),
        bytes: text.as_bytes().into(),
    };
    texts.iter().enumerate().map(source).collect()
}

fn read(texts: &[&str]) -> Manifest {
    let sources = sources(texts);
    parse(&sources).unwrap_or_else(|problems| panic!("{}", draw::problems(&problems, &sources, false)))
}

fn app<'m>(manifest: &'m Manifest, label: &str) -> &'m App {
    &manifest.apps[&label.parse::<AppLabel>().unwrap()]
}

#[test]
fn a_custom_app_reads_as_it_is_written() {
    let manifest = read(&[CUSTOM]);
    assert_eq!(manifest.policy.max_drops.as_ref().map(|limit| limit.value), Some(50));
    assert_eq!(manifest.policy.max_drop_percent, None);
    let hr = app(&manifest, "hr");
    assert_eq!(hr.identity.to_string(), "cli_9dbb2dd6f5e0d104 at https://open.feishu.cn");
    assert_eq!((hr.kind, hr.rate_per_minute), (AppKind::Custom, 100));
    let [leave, other] = hr.subscriptions.as_slice() else { panic!("two are declared") };
    assert_eq!((leave.name.as_deref(), leave.owner.as_deref()), (Some("Leave request"), Some("")));
    assert!(leave.protect && !other.protect && leave.tenant_key.is_none());
    assert_eq!((other.name.as_deref(), other.owner.as_deref()), (None, None));
    let [removed] = hr.removed.as_slice() else { panic!("one is removed") };
    assert_eq!(removed.reason.as_deref(), Some("form retired, OPS-123"));
    assert!(removed.forget);
}

#[test]
fn a_span_is_that_of_the_code_itself() {
    let manifest = read(&[CUSTOM]);
    let hr = app(&manifest, "hr");
    let spans = hr.subscriptions.iter().map(|entry| (&entry.approval_code, &entry.span));
    for (code, span) in spans.chain(hr.removed.iter().map(|entry| (&entry.approval_code, &entry.span))) {
        assert_eq!(&CUSTOM[span.bytes.clone()], code.as_str());
    }
    assert_eq!(&CUSTOM[hr.span.bytes.clone()], "[apps.hr]");
}

#[test]
fn a_store_app_reads_from_several_files() {
    let manifest = read(&[STORE_ENTRIES, STORE, CUSTOM]);
    assert_eq!(manifest.apps.len(), 2);
    let isv = app(&manifest, "isv");
    assert_eq!(isv.identity.base_url.as_str(), "https://open.example.com");
    assert_eq!((isv.kind, isv.rate_per_minute, isv.span.source), (AppKind::Store, 60, 1));
    let tenants: Vec<_> =
        isv.subscriptions.iter().map(|entry| entry.tenant_key.as_ref().unwrap().as_str()).collect();
    assert_eq!(tenants, ["t1", "t2"]);
    // A tenant's key is the platform's: case counts in it.
    assert_eq!(isv.removed[0].tenant_key.as_ref().unwrap().as_str(), "T1");
    assert_eq!(isv.subscriptions[0].approval_code.as_str(), "A-1");
    assert_eq!(&STORE_ENTRIES[isv.subscriptions[0].span.bytes.clone()], "\"\\u0041-1\"");
}

#[test]
fn a_label_may_contain_a_word_that_secrets_have() {
    let manifest = read(&[&CUSTOM.replace("apps.hr", "apps.secretariat")]);
    assert_eq!(app(&manifest, "secretariat").subscriptions.len(), 2);
}

#[test]
fn the_digest_is_of_the_texts_and_not_of_their_paths() {
    let digest = |texts: &[&str]| read(texts).digest;
    assert_eq!(digest(&[CUSTOM]), digest(&[CUSTOM]));
    assert_ne!(digest(&[CUSTOM]), digest(&[&format!("{CUSTOM}\n")]));
    assert_ne!(digest(&[STORE, STORE_ENTRIES]), digest(&[STORE_ENTRIES, STORE]));
    let (head, tail) = CUSTOM.split_at(CUSTOM.find("[[apps.hr.removed").unwrap());
    assert_ne!(digest(&[CUSTOM]), digest(&[head, tail]));
    assert!(digest(&[CUSTOM]).starts_with("sha256:") && digest(&[CUSTOM]).len() == 71);
}

/// The slips of a hand that make a line invalid.
fn slips(line: &str) -> Vec<String> {
    if let Some(rest) = line.strip_prefix('[') {
        let open = line.strip_suffix(']').unwrap_or(line);
        return vec![rest.into(), open.into(), line.replace('.', " "), line.replace(']', "")];
    }
    let Some((key, value)) = line.split_once(" = ") else { return vec![] };
    let mut slips = vec![
        format!("{key} = "),
        key.to_string(),
        format!("{key}: {value}"),
        format!("{key} = [{value}"),
        format!("{key} = {{ x = {value}"),
        format!("{key} = \"\"\"{value}"),
        format!("{key} = {value} x"),
        format!("{key} = \u{feff}{value}"),
        format!("= {value}"),
        format!("{key} = {{[{value}}}"),
    ];
    if let Some(text) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        slips.extend([format!("{key} = x{text}"), format!("{key} = \"{text}"), format!("{key} = x{text}\"")]);
        slips.extend([format!("{key} = \"\\{text}\""), format!("{key} = “{text}”")]);
    }
    slips
}

#[test]
fn one_slip_is_one_problem() {
    for text in [CUSTOM, STORE_ENTRIES] {
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            for slip in slips(line) {
                let mut lines = lines.clone();
                lines[index] = &slip;
                let text = lines.join("\n");
                let sources = sources(&[&text, if text.contains("isv") { STORE } else { "[policy]" }]);
                let sources = if text.contains("[policy]") { &sources[..1] } else { &sources[..] };
                // Not every slip breaks every line: `\f` is an escape.
                let Err(problems) = parse(sources) else {
                    assert!(toml::from_str::<toml::Table>(&text).is_ok(), "{slip}");
                    continue;
                };
                let drawn = draw::problems(&problems, sources, false);
                assert_eq!(problems.0.len(), 1, "{slip}\n{drawn}");
                let line = problems.0[0].annotations[0].span.bytes.start;
                assert_eq!(text[..line].matches('\n').count(), index, "{slip}\n{drawn}");
            }
        }
    }
}

#[test]
fn no_source_is_a_problem_without_a_place() {
    let problems = parse(&[]).unwrap_err();
    assert!(draw::problems(&problems, &[], false).starts_with("error: the manifest has no app\n"));
}

#[test]
fn no_depth_of_nesting_exhausts_the_stack() {
    let dotted = |count: usize| vec!["a"; count].join(".");
    let many = 100_000;
    let mut nested = String::from("1");
    for _ in 0..16 {
        nested = format!("{{ {} = {nested} }}", dotted(80));
    }
    for text in [
        "[".repeat(many),
        format!("x = {}", "[".repeat(many)),
        format!("x = {}", "{a=".repeat(many)),
        format!("x = {}", "{".repeat(many)),
        format!("x = {}1{}", "[".repeat(many), "]".repeat(many)),
        format!("{} = 1", dotted(many)),
        format!("[{}]", dotted(many)),
        format!("[{}]\n{} = {nested}", dotted(79), dotted(79)),
        format!("x = {nested}"),
        format!("{CUSTOM}\nx = \"\"\"{}", "[".repeat(many)),
        "x = \"\n[".repeat(many / 10),
    ] {
        let sources = sources(&[&text]);
        let problems = parse(&sources).unwrap_err();
        draw::problems(&problems, &sources, false);
    }
}

/// A manifest of many entries, each with the extra lines that `extra` gives it.
fn large(count: usize, extra: impl Fn(usize) -> String) -> String {
    let entry = |index| {
        let extra = extra(index);
        format!(
            "\n[[apps.hr.subscriptions]]\napproval_code = \"7C468A54-8745-2245-9675-{index:012X}\"\n{extra}"
        )
    };
    format!("[apps.hr]\napp_id = \"cli_a\"\nbrand = \"lark\"\n{}", (0..count).map(entry).collect::<String>())
}

/// Whatever is wrong, and however often: what is told of it has an end, and no secret in it.
#[test]
fn a_large_manifest_reads_and_a_drawing_never_grows_with_its_problems() {
    let right = large(5_000, |_| "name = \"Leave request\"\nowner = \"people-platform\"\n".into());
    assert_eq!(app(&read(&[&right]), "hr").subscriptions.len(), 5_000);
    let wrong: [fn(usize) -> String; 16] = [
        |times| large(times, |_| "nmae = \"x\"\n".into()),
        |times| large(times, |_| "protect = yes\n".into()),
        |times| large(times, |_| "name = 'a'\nname = 'b'\n".into()),
        |times| large(times, |_| "token = 's3cret'\n".into()),
        |times| large(times, |_| "approval_code = [\n".into()),
        |times| large(times, |_| "x = \"\"\"\n".into()),
        |times| large(times, |_| "x = \"\n".into()),
        |times| large(times, |_| "[policy]\n".into()),
        |times| large(1, |_| (0..times).map(|n| format!("a{n:06} = 1\na{n:06} = 2\n")).collect()),
        |times| large(times, |_| String::new()) + &large(times, |_| String::new()),
        |times| "token ".repeat(times * 20),
        |times| "token = 's3cret' ".repeat(times * 20),
        |times| "token = 's3cret\n".repeat(times * 20),
        |times| "a.".repeat(times * 20),
        |times| "\u{202e}".repeat(times * 20),
        |times| "#".repeat(times * 20),
    ];
    for (case, wrong) in wrong.iter().enumerate() {
        let drawn = |times: usize| {
            let sources = sources(&[&wrong(times)]);
            let Err(problems) = parse(&sources) else { panic!("case {case} is right") };
            draw::problems(&problems, &sources, false)
        };
        let (some, many) = (drawn(500), drawn(2_000));
        assert!(!many.contains("s3cret"), "case {case}");
        // Numbers are a digit longer, and lines of source may be.
        assert!(many.lines().count() <= some.lines().count() + 2, "case {case}:\n{many}");
        assert!(many.len() < 200_000, "case {case}: {}", many.len());
    }
}

/// Reads and draws whatever it is given, and checks what must hold of every drawing.
fn check_anything(bytes: Vec<Vec<u8>>) {
    let source = |bytes: Vec<u8>| Source { path: "a\u{1b}[2J\n::error::b\u{202e}.toml".into(), bytes };
    let sources: Vec<Source> = bytes.into_iter().map(source).collect();
    let Err(problems) = parse(&sources) else {
        let is_toml = |source: &Source| toml::from_slice::<toml::Table>(&source.bytes).is_ok();
        assert!(sources.iter().all(is_toml));
        return;
    };
    assert!(!problems.0.is_empty());
    for problem in &problems.0 {
        for span in problem.annotations.iter().map(|annotation| &annotation.span).chain(&problem.redact) {
            assert!(span.bytes.start <= span.bytes.end, "{problem:?}");
            assert!(span.bytes.end <= sources[span.source].bytes.len(), "{problem:?}");
        }
    }
    let drawn = draw::problems(&problems, &sources, false);
    assert!(!drawn.contains(|c: char| c.is_control() && c != '\n'), "{drawn:?}");
    assert!(!drawn.contains(['\u{202e}', '\u{200b}', '\u{feff}']), "{drawn:?}");
    assert!(!drawn.lines().any(|line| line.trim_start().starts_with("::")), "{drawn:?}");
    assert!(!drawn.contains("##["), "{drawn:?}");
    draw::problems(&problems, &sources, true);
}

/// What could stand in a manifest, and what could not.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&[u8]> = vec![
        b"[",
        b"]",
        b"[[",
        b"]]",
        b"{",
        b"}",
        b"\"",
        b"'",
        b"\"\"\"",
        b"'''",
        b"\n",
        b"\r\n",
        b"\r",
        b" ",
        b"\t",
        b"=",
        b".",
        b",",
        b"#",
        b":",
        b"::",
        b"##[",
        b"\\",
        b"\\u0041",
        b"true",
        b"1",
        b"-1.5",
        b"2024-01-01",
        b"apps",
        b"apps.hr",
        b"policy",
        b"subscriptions",
        b"removed",
        b"app_id",
        b"brand",
        b"base_url",
        b"kind",
        b"approval_code",
        b"tenant_key",
        b"app_secret",
        b"token",
        b"[apps.hr]\n",
        b"[[apps.hr.subscriptions]]\n",
        b"[[apps.hr.removed]]\n",
        b"[policy]\n",
        b"approval_code = \"A-1\"\n",
        b"approval_code = \"a-1\"\n",
        b"brand = \"lark\"\n",
        b"app_id = \"cli_a\"\n",
        b"kind = \"store\"\n",
        b"tenant_key = \"t\"\n",
        b"\xff",
        b"\xe2\x80\xae",
        b"\xe2\x80\x8b",
        b"\xef\xbb\xbf",
        b"\x1b[2J",
        b"\0",
        b"\xe8\xaf\xb7",
        b"\xe8",
        b"\xc2\x85",
    ];
    prop_oneof![
        8 => prop::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (0_usize..300).prop_map(|length| vec![b'x'; length]),
    ]
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_whatever_bring_it_down(texts in prop::collection::vec(pieces(), 0..4)) {
        check_anything(texts);
    }

    #[test]
    fn no_change_of_a_right_manifest_brings_it_down(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..20, piece()), 1..6),
    ) {
        let mut texts: Vec<Vec<u8>> = [CUSTOM, STORE_ENTRIES, STORE].iter().map(|text| text.as_bytes().into()).collect();
        for (place, length, piece) in changes {
            let text = &mut texts[place.index(3)];
            let start = place.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, piece);
        }
        check_anything(texts);
    }
}

/// What a text may be made of: plain sections, and what makes the same names mean something else.
const FRAGMENTS: &[&str] = &[
    "[policy]\nmax_drops = 5\n",
    "[apps.hr]\napp_id = \"cli_1\"\nbrand = \"feishu\"\n",
    "[apps.it]\napp_id = \"cli_2\"\nbrand = \"lark\"\n",
    "[apps.hr]\nsubscriptions = []\n",
    "[apps.hr.subscriptions]\n",
    "[[apps.hr]]\n",
    "[apps]\nit = { app_id = \"cli_2\", brand = \"lark\" }\n",
    "apps.it.app_id = \"cli_2\"\napps.it.brand = \"lark\"\n",
    "[[apps.hr.subscriptions]] # one\napproval_code = \"A-1\"\n",
    "[[apps.hr.subscriptions]]\r\napproval_code = \"A-2\"\r\nname = '''\n[policy]'''\r\n",
    "[[apps.hr.subscriptions]]\napproval_code = \"A-3\"\nname = \"\"\"\n[[apps.hr.subscriptions]]\n",
    "\"\"\"\n",
    "[[apps.hr.removed]]\napproval_code = \"B-1\"\n\n# why\nreason = \"x\"\n",
    "[[apps.hr.removed]]\napproval_code = \"B-2\"\n[[apps.hr.removed]]\napproval_code = \"B-3\"\n",
    "[[apps.it.subscriptions]]\napproval_code = \"A-1\"\n[[apps.it.subscriptions]]\napproval_code = \"C-1\"\n",
    "[[apps.it.subscriptions]]\napproval_code = \"C-2\"\nowner = \"ä\"\n[apps.it.subscriptions.x]\n",
    "[policy]\nrequire_owner = true\nmax_drops = 3\n",
    "[apps.hr.policy]\nmax_drops = 1\nowners = [\"ä\", \"b\"]\n",
    "[[apps.hr.subscriptions]]\napproval_code = \"D-1\"\nowner = \"b\"\n[[apps.hr.subscriptions]]\napproval_code = \"D-2\"\nowner = \"c\"\n",
    "[apps.it.policy]\nrequire_reason = true\n",
    "[[apps.it.subscriptions]]\napproval_code = \"C-3\"\n[[apps.it.subscriptions]]\ntypo = 1\n",
    "\n",
];

proptest! {
    /// Also across several files, by several threads, in pieces of an entry each.
    #[test]
    fn what_is_read_in_pieces_is_what_is_read_as_a_whole(
        picks in prop::collection::vec(prop::collection::vec(0..FRAGMENTS.len(), 0..8), 1..4),
        threads in 1..4_usize,
    ) {
        let texts: Vec<String> =
            picks.iter().map(|picks| picks.iter().map(|pick| FRAGMENTS[*pick]).collect()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let sources = sources(&texts);
        if let Some(pieces) = parse::in_pieces(&sources, threads, 1) {
            let whole = parse::in_whole(&sources);
            prop_assert!(whole.is_ok(), "{:?}", whole);
            prop_assert_eq!(format!("{pieces:?}"), format!("{:?}", whole.unwrap()));
        }
    }
}

#[test]
fn manifests_as_people_write_them_are_read_in_pieces() {
    let entries = "[[apps.hr.subscriptions]]\napproval_code = \"C-1\"\n# next\n[[apps.hr.subscriptions]]\napproval_code = \"C-2\"\nname = \"x\"\n";
    let limited = "[apps.it]\napp_id = \"cli_7\"\nbrand = \"lark\"\n[[apps.it.subscriptions]]\napproval_code = \"C-1\"\nowner = \"a\"\n[[apps.it.subscriptions]]\napproval_code = \"C-2\"\nowner = \"b\"\n[apps.it.policy]\nmax_drops = 3\nowners = [\"a\", \"b\"]\n";
    for texts in
        [[CUSTOM, entries], [entries, CUSTOM], [CUSTOM, STORE], [STORE, STORE_ENTRIES], [CUSTOM, limited]]
    {
        let sources = sources(&texts);
        let whole = parse::in_whole(&sources);
        for threads in 1..4 {
            let pieces = parse::in_pieces(&sources, threads, 1).map(|pieces| format!("{pieces:?}"));
            assert_eq!(pieces, whole.as_ref().ok().map(|whole| format!("{whole:?}")), "{texts:?}");
        }
    }
}

#[test]
fn what_collides_in_the_whole_is_not_read_in_pieces() {
    let settings = "[apps.hr]\napp_id = \"cli_1\"\nbrand = \"feishu\"\n";
    let entries = "[[apps.hr.subscriptions]]\napproval_code = \"C-1\"\n[[apps.hr.subscriptions]]\napproval_code = \"C-2\"\n";
    for text in [
        format!("{settings}subscriptions = []\n{entries}"),
        format!("{entries}{settings}subscriptions = []\n"),
        format!("{settings}{entries}{settings}"),
        format!("{settings}policy = {{ max_drops = 1 }}\n{entries}[apps.hr.policy]\nmax_drops = 2\n"),
        format!("{settings}[apps.hr.policy]\nmax_drops = 1\n{entries}[apps.hr.policy]\nmax_drops = 2\n"),
        format!("{settings}{entries}[apps.hr.policy]\nrequire_owner = true\n"),
    ] {
        let sources = sources(&[&text]);
        assert!(parse::in_whole(&sources).is_err(), "{text}");
        assert!(parse::in_pieces(&sources, 2, 1).is_none(), "{text}");
    }
}

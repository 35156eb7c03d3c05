//! State files that are missing, something else, newer or damaged: each is refused in its own words, and not a
//! byte of it changes. One that was cut at its end is read as far as it was acknowledged.

use super::support::{Scratch, code, manifest};

const URL: &str = "http://127.0.0.1:9";

/// Two tracked, one of them no longer declared.
fn scratch() -> Scratch {
    Scratch::dropping(URL, &[code(1), code(2)], &[&code(2)])
}

fn readers() -> [String; 5] {
    [
        "show".into(),
        "state list".into(),
        "state list --all".into(),
        format!("state show hr/{}", code(1)),
        "show --format json".into(),
    ]
}

/// What decides or writes.
fn others() -> [String; 6] {
    [
        "plan".into(),
        "validate".into(),
        "apply --auto-approve".into(),
        format!("import --app hr {}", code(3)),
        format!("state rm hr/{} --reason x", code(1)),
        "sandbox --state larksub.state.jsonl".into(),
    ]
}

/// A line with its checksum made right.
fn signed(line: &str) -> String {
    let (body, _) = line.rsplit_once(r#","crc":""#).unwrap_or((line.trim_end_matches('}'), ""));
    format!("{body},\"crc\":\"{:08x}\"}}\n", crc32c::crc32c(body.as_bytes()))
}

#[track_caller]
fn refused(scratch: &Scratch, bytes: &[u8], lines: &[String], says: &[&str]) {
    scratch.write("larksub.state.jsonl", bytes);
    let names = scratch.names();
    for line in lines {
        let ran = scratch.run(line);
        ran.exit(1);
        assert!(ran.stdout.is_empty(), "{ran}");
        for text in says {
            ran.says([text]);
        }
        assert!(scratch.state() == bytes, "the file is as it was\n{ran}");
        assert_eq!(scratch.names(), names, "and so is its folder\n{ran}");
    }
}

fn all() -> Vec<String> {
    readers().into_iter().chain(others()).collect()
}

#[test]
fn a_missing_state_is_an_error_and_never_nothing_is_subscribed() {
    let scratch = scratch();
    std::fs::remove_file(scratch.path("larksub.state.jsonl")).unwrap();
    for line in all() {
        if line == "validate" {
            scratch.run(&line).exit(0).says(["none yet"]);
            continue;
        }
        scratch.run(&line).exit(1).says(["there is no state at larksub.state.jsonl", "larksub init"]);
        assert_eq!(scratch.names(), ["larksub.toml"]);
    }
}

#[test]
fn an_empty_state_is_an_error_and_init_does_not_take_its_place() {
    let scratch = scratch();
    let says = ["it is empty", "an empty file is not an empty state"];
    refused(&scratch, b"", &all(), &says);
    refused(&scratch, b"", &["init".into()], &["larksub.state.jsonl exists"]);
}

#[test]
fn init_overwrites_nothing() {
    let scratch = scratch();
    let (state, toml) = (scratch.state(), scratch.text("larksub.toml"));
    scratch
        .run("init")
        .exit(1)
        .says(["larksub.state.jsonl exists", "a new state would forget what is subscribed"]);
    assert_eq!((scratch.state(), scratch.text("larksub.toml")), (state, toml));
    // A dangling link is something, too.
    std::os::unix::fs::symlink("nowhere", scratch.path("link.jsonl")).unwrap();
    scratch.run("--state link.jsonl init").exit(1).says(["link.jsonl exists"]);
}

#[test]
fn init_makes_a_state_only_its_owner_reads_and_a_manifest_that_is_right() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new();
    scratch.run("init").exit(0);
    assert_eq!(scratch.names(), ["larksub.state.jsonl", "larksub.toml"]);
    let mode = std::fs::metadata(scratch.path("larksub.state.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    scratch.run("validate").exit(0);
    scratch.run("plan --detailed-exitcode").exit(0).says(["no subscription is tracked"]);
    let ledger = scratch.ledger();
    assert_eq!(ledger.ops(), ["init"]);
    assert_eq!(ledger.0[0].record["format"], "larksub.state");
}

#[test]
fn what_is_no_state_is_named_for_what_it_is() {
    let scratch = scratch();
    scratch.run("plan --out plan.json").exit(0);
    let plan = scratch.bytes("plan.json");
    let manifest = scratch.bytes("larksub.toml");
    let starter = {
        let other = Scratch::new();
        other.run("init").exit(0);
        other.bytes("larksub.toml")
    };
    for (bytes, says) in [
        (
            &br#"{"version": 4, "terraform_version": "1.9.5", "serial": 3, "resources": []}"#[..],
            "a Terraform state",
        ),
        (&manifest, "a manifest"),
        (&starter, "a manifest"),
        (&plan, "a saved plan"),
        (&[0; 4096], "nothing but NUL bytes"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "something else"),
        (b"\n", "something else"),
        (b"null\n", "something else"),
        (br#"{"records":[],"seq":1}"#, "something else"),
    ] {
        refused(
            &scratch,
            bytes,
            &all(),
            &[&format!("it is {says}, not a larksub state"), "nothing was changed"],
        );
    }
}

#[test]
fn a_newer_state_is_shown_and_refused_by_whatever_decides() {
    let scratch = scratch();
    let text = scratch.text("larksub.state.jsonl");
    let mut newer = String::new();
    for line in text.lines() {
        newer.push_str(&signed(
            &line.replace("\"version\":1", "\"version\":2").replace("\"by\":", "\"new\":[1],\"by\":"),
        ));
    }
    newer.push_str(&signed(r#"{"seq":5,"records":[{"op":"marvel","at":"2026-01-01T00:00:00Z"}]}"#));
    let says = ["is of version 2; this larksub knows 1", "update larksub"];
    refused(&scratch, newer.as_bytes(), &others(), &says);
    for line in readers() {
        scratch.run(&line).exit(0).says([&code(1), "a newer larksub wrote this state"]);
    }
    assert_eq!(scratch.text("larksub.state.jsonl"), newer);
    // The same keys in a version that is known are damage.
    let unknown = newer.replace("\"version\":2", "\"version\":1");
    let resigned: String = unknown.lines().map(signed).collect();
    refused(&scratch, resigned.as_bytes(), &all(), &["line 1", "nothing was changed"]);
}

#[test]
fn damage_before_the_last_line_is_refused_with_its_place() {
    let scratch = scratch();
    scratch.run(&format!("state rm hr/{} --reason x", code(1))).exit(0);
    let text = scratch.text("larksub.state.jsonl");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5);
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let swapped = joined(&[lines[0], lines[2], lines[1], lines[3], lines[4]]);
    let without = joined(&[lines[0], lines[1], lines[3], lines[4]]);
    let twice = joined(&[lines[0], lines[1], lines[1], lines[2], lines[3], lines[4]]);
    let edited = text.replacen(&code(1), &code(7), 1);
    let blank = text.replacen('\n', "\n\n", 1);
    let merged = format!("{}{}", lines[..4].join("\n"), lines[4]) + "\n";
    let conflict = text.replacen(lines[3], &format!("<<<<<<< HEAD\n{}", lines[3]), 1);
    let crlf = text.replace('\n', "\r\n");
    for (bytes, says) in [
        (edited, "line 3 "),
        (without, "lines are missing or repeated"),
        (swapped, "lines are missing or repeated"),
        (twice, "lines are missing or repeated"),
        (blank, "line 2 "),
        (merged, "line 4 "),
        (conflict, "line 4 "),
        (crlf, "line 1 "),
    ] {
        refused(&scratch, bytes.as_bytes(), &all(), &[says, "nothing was changed"]);
    }
    // Sound lines that cannot follow each other.
    let impossible = signed(&lines[4].replace("\"seq\":5", "\"seq\":6"));
    let says = ["line 6", "cannot follow the lines before it"];
    refused(&scratch, (text + &impossible).as_bytes(), &all(), &says);
}

#[test]
fn a_state_that_was_cut_reads_as_what_was_acknowledged_and_the_rest_is_kept_beside() {
    let scratch = scratch();
    let before = scratch.state();
    scratch.run(&format!("import --app hr {}", code(3))).exit(0);
    let whole = scratch.state();
    let added = whole.len() - before.len();
    for cut in [1, 2, 20, added / 2, added - 1] {
        for nuls in [0, 512] {
            let mut bytes = whole[..whole.len() - cut].to_vec();
            bytes.extend(vec![0; nuls]);
            let tail = bytes[before.len()..].to_vec();
            scratch.write("larksub.state.jsonl", &bytes);
            let note = format!("ends in {} bytes of a line that was cut off", tail.len());
            for line in readers().iter().map(String::as_str).chain(["plan", "validate"]) {
                scratch.run(line).exit(0).says([&note]).never_says([&code(3)]);
            }
            assert_eq!(scratch.state(), bytes, "readers write nothing");
            let ran = scratch.run(&format!("import --app hr {}", code(4)));
            ran.exit(0).says(["an unfinished line was moved to", ".tail-5"]);
            assert!(scratch.state().starts_with(&before));
            assert_eq!(scratch.ledger().about("track", &code(4)).len(), 1);
            let kept: Vec<String> =
                scratch.names().into_iter().filter(|name| name.contains(".tail-")).collect();
            assert_eq!(kept.len(), 1, "{kept:?}");
            assert_eq!(scratch.bytes(&kept[0]), tail);
            std::fs::remove_file(scratch.path(&kept[0])).unwrap();
        }
    }
}

#[test]
fn an_import_that_was_cut_between_its_lines_never_happened() {
    let scratch = Scratch::new();
    scratch.write("larksub.toml", manifest(URL, &[code(1), code(2), code(3)]));
    scratch.run("init").exit(0);
    let before = scratch.state();
    scratch.run("import --declared").exit(0);
    let text = scratch.text("larksub.state.jsonl");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for kept in 2..lines.len() {
        scratch.write("larksub.state.jsonl", lines[..kept].concat());
        scratch.run("plan").exit(0).says(["no subscription is tracked", "never acknowledged"]);
    }
    scratch.run("import --declared").exit(0).says(["3 imported", "an unfinished line was moved to"]);
    assert!(scratch.state().starts_with(&before));
    assert_eq!(scratch.ledger().of("track").len(), 3);
}

#[test]
fn a_link_to_the_state_is_followed_and_stays_a_link() {
    let scratch = scratch();
    std::fs::create_dir(scratch.path("real")).unwrap();
    std::fs::rename(scratch.path("larksub.state.jsonl"), scratch.path("real/state.jsonl")).unwrap();
    std::os::unix::fs::symlink("real/state.jsonl", scratch.path("larksub.state.jsonl")).unwrap();
    scratch.run(&format!("import --app hr {}", code(3))).exit(0);
    let link = std::fs::symlink_metadata(scratch.path("larksub.state.jsonl")).unwrap();
    assert!(link.file_type().is_symlink());
    assert!(scratch.text("real/state.jsonl").contains(&code(3)));
}

#[test]
fn a_state_that_is_no_file_is_an_error() {
    let scratch = scratch();
    std::fs::create_dir(scratch.path("folder")).unwrap();
    for (line, status) in [("plan", 1), ("show", 1), ("apply --auto-approve", 7)] {
        scratch.run(&format!("--state folder {line}")).exit(status).says(["folder"]);
    }
}

#[test]
fn no_reader_writes() {
    let scratch = scratch();
    let (before, names) = (scratch.state(), scratch.names());
    for line in readers().iter().map(String::as_str).chain([
        "plan",
        "plan --format diff",
        "plan --format json",
        "validate",
    ]) {
        scratch.run(line).exit(0);
    }
    assert_eq!((scratch.state(), scratch.names()), (before, names));
}

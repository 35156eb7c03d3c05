//! Stores that answer wrongly, late or not at all.

use crate::life::{codes, dropping, pulled};
use crate::proxy::Do;
use crate::store::{SECRET, Store};
use crate::support::{Platform, Scratch};

/// A fault in the middle of an apply that it gets over: everything is done, once, and stored.
#[test]
fn an_answer_that_says_nothing_is_asked_for_again_and_no_line_is_lost_or_doubled() {
    let error =
        |status| Do::Answer(status, "<Error><Code>Odd</Code><Message>so it is</Message></Error>".into());
    for act in [error(500), error(503), Do::Lose, Do::Cut] {
        for store in Store::all() {
            let all = codes(12);
            let platform = Platform::start(&all, &[]);
            let scratch = dropping(&store, &platform.url, &all);
            let (method, path) = store.append;
            store.proxy.rule(method, path, 2, 2, act.clone());
            scratch.run("apply --auto-approve").exit(0).says(["12 unsubscribed"]);
            assert_eq!(platform.calls().len(), 12, "{} {act:?}", store.name);
            let ledger = pulled(&scratch);
            assert_eq!(
                (ledger.of("outcome").len(), ledger.of("intent").len()),
                (12, 12),
                "{} {act:?}",
                store.name
            );
        }
    }
}

/// An S3 store answers 409 to requests that meet each other, and has stored nothing.
#[test]
fn a_conflict_without_a_winner_is_no_loss() {
    for store in Store::all().into_iter().filter(Store::is_objects) {
        let all = codes(4);
        let platform = Platform::start(&all, &[]);
        let scratch = dropping(&store, &platform.url, &all);
        let says = "<Error><Code>ConditionalRequestConflict</Code></Error>".to_owned();
        store.proxy.rule("PUT", "/log/", 1, 1, Do::Answer(409, says));
        scratch.run("apply --auto-approve").exit(0).says(["4 unsubscribed"]);
    }
}

/// A store that is gone in the middle of a run: nothing more is sent, and what is true is kept and pushed later.
#[test]
fn what_cannot_be_stored_is_kept_here_and_pushed_later() {
    for act in [Do::Cut, Do::Answer(503, String::new()), Do::Answer(403, String::new())] {
        for store in Store::all() {
            let all = codes(30);
            let platform = Platform::start(&all, &["--latency", "30ms..60ms"]);
            let scratch = dropping(&store, &platform.url, &all);
            scratch.set("LARKSUB_STATE_TIMEOUT", "2");
            let (method, path) = store.append;
            store.proxy.rule(method, path, 3, usize::MAX, act.clone());
            let failed = scratch.run("apply --auto-approve --format json");
            failed.exit(7).says(["larksub-recovery: ", "state push larksub.state.unsent.jsonl"]);
            let calls = platform.calls().len();
            assert!((1..30).contains(&calls), "{calls}");
            let unsent = scratch.text("larksub.state.unsent.jsonl");
            assert!(unsent.starts_with("{\"format\":\"larksub.state.unsent\""), "{unsent}");
            assert_eq!(
                std::os::unix::fs::PermissionsExt::mode(
                    &scratch.path("larksub.state.unsent.jsonl").metadata().unwrap().permissions()
                ) & 0o777,
                0o600
            );
            store.proxy.heal();
            let ledger = pulled(&scratch);
            let kept = unsent.lines().count() - 1;
            assert_eq!(
                ledger.of("outcome").len() + kept,
                calls,
                "{} {act:?}: every call is told of",
                store.name
            );
            unlock(&scratch);
            let other = Scratch::tracking("http://127.0.0.1:1", &codes(1));
            other.write("larksub.state.unsent.jsonl", &unsent);
            other.run("state push larksub.state.unsent.jsonl").exit(4).says(["another ledger"]);
            scratch.run("state push larksub.state.unsent.jsonl").exit(0).says(["delete it"]);
            assert_eq!(pulled(&scratch).of("outcome").len(), calls, "{} {act:?}", store.name);
            scratch.run("state push larksub.state.unsent.jsonl").exit(0).says(["0 outcomes"]);
            scratch.run("apply --auto-approve").exit(0).says(["holds outcomes that could not be stored"]);
            assert_eq!(platform.calls().len(), 30, "{} {act:?}: no call twice", store.name);
            scratch.nowhere(&[SECRET.to_owned()]);
        }
    }
}

/// Where the store was gone as the lock was to be given back, it is still held.
fn unlock(scratch: &Scratch) {
    let refused = scratch.run("import --declared");
    if let Some(id) = refused.stderr.split("state unlock ").nth(1) {
        scratch.run(&format!("state unlock {}", id.split('`').next().unwrap())).exit(0);
    }
}

#[test]
fn a_store_that_says_it_stored_and_did_not_is_found_out_before_a_call() {
    for store in Store::all() {
        let all = codes(5);
        let platform = Platform::start(&all, &[]);
        let scratch = dropping(&store, &platform.url, &all);
        let (method, path) = store.append;
        store.proxy.rule(
            method,
            path,
            0,
            usize::MAX,
            Do::Answer(if store.name == "azure" { 201 } else { 200 }, String::new()),
        );
        let failed = scratch.run("apply --auto-approve");
        failed.exit(7);
        assert_eq!(platform.calls().len(), 0, "{}: {failed}", store.name);
        store.proxy.heal();
        scratch.run("plan").exit(0).says(["5 calls"]);
    }
}

#[test]
fn a_store_that_reads_wrongly_is_refused_and_nothing_is_planned() {
    for store in Store::all() {
        let all = codes(3);
        let platform = Platform::start(&all, &[]);
        let scratch = dropping(&store, &platform.url, &all);
        scratch.set("LARKSUB_STATE_TIMEOUT", "1");
        let (method, path) = store.read;
        for (act, exit) in [
            (Do::Answer(200, String::new()), 1),
            (Do::Answer(200, "not what it was".into()), 1),
            (Do::Answer(403, "<Error><Code>AccessDenied</Code></Error>".into()), 1),
            (Do::Answer(500, String::new()), 1),
            (Do::Answer(302, String::new()), 1),
            (Do::Cut, 1),
            (Do::Hang, 1),
        ] {
            store.proxy.rule(method, path, 0, usize::MAX, act.clone());
            let ran = scratch.run("plan");
            ran.exit(exit).never_says(["No changes", SECRET]);
            let ran = scratch.run("apply --auto-approve");
            assert!(matches!(ran.status, Some(1 | 5)), "{} {act:?} {ran}", store.name);
            store.proxy.heal();
            unlock(&scratch);
        }
        assert_eq!(platform.calls().len(), 0);
        // An object, or a document, that is empty.
        if store.is_objects() {
            store.proxy.rule("GET", "/log/", 0, usize::MAX, Do::Answer(200, String::new()));
            scratch.run("plan").exit(1).never_says(["No changes"]);
        }
    }
}

#[test]
fn a_damaged_object_or_document_is_refused_and_repaired_as_a_copy() {
    let store = Store::http();
    let all = codes(3);
    let platform = Platform::start(&all, &[]);
    let scratch = dropping(&store, &platform.url, &all);
    let backend = store.backend.as_ref().unwrap();
    let document = String::from_utf8(backend.kept("/states/one").document.unwrap()).unwrap();
    backend.set("/states/one", document.replacen("00000002", "0000000X", 1).as_bytes());
    scratch.run("plan").exit(1).says(["does not match its own checksum"]);
    scratch.run("state repair").exit(1).says(["state pull --out copy.jsonl"]);
    let raw = scratch.run("state pull").exit(1).says(["state pull --out FILE"]).stdout.clone();
    assert_eq!(raw, "", "what is damaged may hold anything");
    scratch.run("state pull --out copy.jsonl").exit(0).says(["warning"]);
    scratch.run("state repair --state copy.jsonl").exit(0);
    let two = store.url.replace("/one", "/two");
    scratch.run(&format!("state migrate copy.jsonl {two}")).exit(0);
    scratch.set("LARKSUB_STATE", &two).run("plan").exit(0).says(["2 calls"]);
}

#[test]
fn a_lock_whose_answer_was_lost_is_ours_all_the_same() {
    for store in Store::all() {
        let all = codes(3);
        let platform = Platform::start(&all, &[]);
        let scratch = dropping(&store, &platform.url, &all);
        let (method, path) = if store.is_objects() { ("PUT", "lease.json") } else { ("LOCK", "") };
        store.proxy.rule(method, path, 0, 1, Do::Lose);
        scratch.run("apply --auto-approve").exit(0).says(["3 unsubscribed"]).never_says(["took over"]);
        scratch.run("import --declared").exit(0);
    }
}

#[test]
fn a_snapshot_that_cannot_be_written_or_is_gone_costs_requests_and_nothing_else() {
    for store in Store::all().into_iter().filter(Store::is_objects) {
        let scratch = Scratch::new();
        store.set(&scratch);
        scratch.write("larksub.toml", crate::support::manifest("http://127.0.0.1:1", &codes(1)));
        scratch.run("init").exit(0);
        scratch.run("import --declared").exit(0);
        store.proxy.rule("PUT", "/snapshot/", 0, 4, Do::Answer(500, String::new()));
        for round in 0..36 {
            scratch.aside(&format!("state rm hr/{} --reason round-{round}", codes(1)[0])).exit(0);
            scratch.aside(&format!("import --app hr {}", codes(1)[0])).exit(0);
        }
        assert!(
            store.proxy.count("PUT", "/snapshot/") > 4,
            "{}: it is tried again by the next writer",
            store.name
        );
        // It was listed, and is deleted before it is fetched.
        store.proxy.rule("GET", "/snapshot/0", 0, 1, Do::Answer(404, String::new()));
        scratch.run("plan").exit(0);
        assert_eq!(pulled(&scratch).of("forget").len(), 36, "{}", store.name);
    }
}

#[test]
fn a_signature_in_a_request_is_never_shown() {
    if !cfg!(feature = "azure") {
        crate::store::skipped("the test of signatures needs --features azure");
        return;
    }
    let scratch = Scratch::new();
    scratch.write("larksub.toml", crate::support::manifest("http://127.0.0.1:1", &codes(1)));
    scratch.set("AZURE_STORAGE_ACCOUNT_NAME", "account").set("LARKSUB_STATE", "az://container/key");
    scratch.set("AZURE_STORAGE_SAS_TOKEN", "sv=2021-08-06&ss=b&sp=rwl&sig=c2lnbmF0dXJlLXNlY3JldA%3D%3D");
    scratch.set("LARKSUB_STATE_TIMEOUT", "1");
    let says = "<Error><Code>AuthenticationFailed</Code><Message>no</Message></Error>";
    let wrong = crate::support::gateway(move |_| (403, Vec::new(), says.into()));
    for endpoint in ["http://127.0.0.1:1", &wrong] {
        scratch.set("AZURE_STORAGE_ENDPOINT", endpoint);
        for line in ["plan", "init", "state unlock x", "-vv state pull"] {
            scratch.run(line).exit(1).never_says(["c2lnbmF0", "sig="]);
        }
    }
}

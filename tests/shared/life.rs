//! A state's whole life at an address, on every store that there is here.

use crate::store::{SECRET, Store};
use crate::support::{Ledger, Platform, Scratch, code, manifest};

/// A folder whose state is at the store, and tracks these codes; none of them is declared any more.
pub fn dropping(store: &Store, url: &str, codes: &[String]) -> Scratch {
    let scratch = Scratch::new();
    store.set(&scratch);
    scratch.write("larksub.toml", manifest(url, codes));
    scratch.run("init").exit(0).says(["an empty state"]);
    scratch.run("import --declared").exit(0);
    scratch.set("LARKSUB_APP_SECRET", "any-secret");
    scratch.write(
        "larksub.toml",
        "[policy]\nmax_drop_percent = 100\n\n".to_owned() + &manifest::<&str>(url, &[]),
    );
    scratch
}

/// The ledger as it is stored, read as an outsider does.
pub fn pulled(scratch: &Scratch) -> Ledger {
    Ledger::read(&scratch.aside("state pull").stdout)
}

pub fn codes(count: usize) -> Vec<String> {
    (1..=count).map(code).collect()
}

#[test]
fn every_command_works_on_an_address_as_on_a_file() {
    for store in Store::all() {
        let all = codes(5);
        let platform = Platform::start(&all, &[]);
        let scratch = dropping(&store, &platform.url, &all);
        scratch.run("validate").exit(0).says([&store.url, "5 tracked subscriptions"]);
        scratch.run("plan --detailed-exitcode --out plan.json").exit(2).says(["5 calls", &store.url]);
        scratch.run("apply plan.json").exit(0).says(["5 unsubscribed"]);
        assert_eq!(platform.calls().len(), 5, "{}", store.name);
        scratch.run("plan --detailed-exitcode").exit(0);
        scratch.run("apply plan.json").exit(0).says(["already applied"]);
        scratch.run("state list --all").exit(0).says([&store.url, "unsubscribed"]);
        scratch.run("state history").exit(0).says(["end: done", "apply"]);
        scratch.run("show --format json").exit(0).says(["larksub.state.view"]);
        scratch.run(&format!("import --app hr {}", code(1))).exit(0);
        scratch.run(&format!("state rm hr/{} --reason gone", code(1))).exit(0);
        scratch.run("state repair").exit(0).says(["Nothing to repair"]);
        scratch.run("state compact").exit(1).says(["is not compacted"]);
        let ledger = pulled(&scratch);
        assert_eq!(ledger.of("outcome").len(), 5, "{}", store.name);
        assert!(!scratch.names().contains(&"larksub.state.jsonl".to_owned()), "nothing is kept here");
        scratch.nowhere(&[SECRET.to_owned()]);
    }
}

#[test]
fn what_is_not_there_is_never_taken_for_nothing_is_subscribed() {
    for store in Store::all() {
        let scratch = Scratch::new();
        store.set(&scratch);
        scratch.write("larksub.toml", manifest("http://127.0.0.1:1", &[code(1)]));
        for line in [
            "plan",
            "apply --auto-approve",
            "import --declared",
            "state list",
            "state pull",
            "show",
            "state repair",
        ] {
            scratch.run(line).exit(1).says(["there is no state at", &store.url]);
        }
        scratch.run("validate").exit(0).says(["none yet"]);
        scratch.run("init").exit(0);
        scratch.run("init").exit(1).says(["is there already", "nothing was changed"]);
        scratch.run("plan").exit(0);
    }
}

#[test]
fn a_state_moves_there_and_back_byte_for_byte() {
    for store in Store::all() {
        let platform = Platform::start(&codes(3), &[]);
        let scratch = Scratch::dropping(&platform.url, &codes(3), &[]);
        scratch.run("apply --auto-approve").exit(0);
        let before = scratch.state();
        store.set(&scratch);
        let to = &store.url;
        scratch
            .run(&format!("state migrate larksub.state.jsonl {to}"))
            .exit(0)
            .says(["read back and compared", "move it away"]);
        scratch.run(&format!("state migrate larksub.state.jsonl {to}")).exit(1).says(["is there already"]);
        assert_eq!(scratch.state(), before, "the old one stays");
        assert_eq!(scratch.run("state pull").exit(0).stdout.as_bytes(), before, "{}", store.name);
        scratch.run(&format!("import --app hr {}", code(1))).exit(0);
        scratch.run(&format!("state migrate {to} back.jsonl")).exit(0);
        scratch.run(&format!("state migrate {to} back.jsonl")).exit(1);
        assert!(scratch.bytes("back.jsonl").starts_with(&before));
        let there = scratch.run("state list --format json").exit(0).stdout.clone();
        assert_eq!(scratch.run("state list --format json --state back.jsonl").exit(0).stdout, there);
        scratch.run("state pull --out copy.jsonl").exit(0);
        assert_eq!(scratch.bytes("copy.jsonl"), scratch.bytes("back.jsonl"));
        scratch.run("plan --state copy.jsonl").exit(0);
    }
}

#[test]
fn a_compacted_ledger_moves_as_well() {
    for store in Store::all() {
        let scratch = Scratch::tracking("http://127.0.0.1:1", &codes(3));
        scratch.run("state compact").exit(0);
        let before = scratch.state();
        store.set(&scratch);
        scratch.run(&format!("state migrate larksub.state.jsonl {}", store.url)).exit(0);
        scratch.run(&format!("state rm hr/{} --reason x", code(1))).exit(0);
        let after = scratch.run("state pull").exit(0).stdout.clone().into_bytes();
        assert!(after.starts_with(&before) && after.len() > before.len(), "{}", store.name);
    }
}

#[test]
fn a_copy_that_went_on_is_pushed_and_one_that_went_another_way_is_not() {
    for store in Store::all() {
        let scratch = Scratch::new();
        store.set(&scratch);
        scratch.write("larksub.toml", manifest("http://127.0.0.1:1", &codes(4)));
        scratch.run("init").exit(0);
        scratch.run("import --declared").exit(0);
        scratch.run("state pull --out copy.jsonl").exit(0);
        scratch.run("state push copy.jsonl").exit(0).says(["nothing to add"]);
        scratch.run(&format!("state rm hr/{} --reason x --state copy.jsonl", code(1))).exit(0);
        scratch.run("state push copy.jsonl").exit(0).says(["1 line added"]);
        assert_eq!(
            scratch.run("state pull").stdout.as_bytes(),
            scratch.bytes("copy.jsonl"),
            "{}",
            store.name
        );
        scratch.run(&format!("state rm hr/{} --reason x --state copy.jsonl", code(2))).exit(0);
        scratch.run(&format!("state rm hr/{} --reason y", code(3))).exit(0);
        let before = scratch.run("state pull").stdout.clone();
        scratch
            .run("state push copy.jsonl")
            .exit(4)
            .says(["went different ways", "state repair --merge copy.jsonl"]);
        scratch.run("state pull --out copy.jsonl").exit(1).says(["holds what the pulled state does not"]);
        assert_eq!(scratch.run("state pull").stdout, before, "a refused push changes nothing");
        scratch.run("state repair --merge copy.jsonl").exit(0).says(["Merged"]);
        scratch.run("state list --all").exit(0).says(["forgotten"]);
        let other = Scratch::tracking("http://127.0.0.1:1", &codes(1));
        scratch.write("other.jsonl", other.state());
        scratch.run("state push other.jsonl").exit(4).says(["another ledger"]);
    }
}

#[test]
fn reading_costs_the_same_however_long_the_history_is() {
    for store in Store::all() {
        let scratch = Scratch::new();
        store.set(&scratch);
        scratch.write("larksub.toml", manifest("http://127.0.0.1:1", &codes(1)));
        scratch.run("init").exit(0);
        scratch.run("import --declared").exit(0);
        let mut table = Vec::new();
        for round in 0..50 {
            scratch.aside(&format!("state rm hr/{} --reason round-{round}", code(1))).exit(0);
            scratch.aside(&format!("import --app hr {}", code(1))).exit(0);
            if [0, 10, 31, 49].contains(&round) {
                store.proxy.take_seen();
                scratch.aside("plan").exit(0);
                let seen = store.proxy.take_seen();
                table.push((2 * round + 4, seen.len()));
                assert!(seen.len() <= 3 + 64, "{}: {seen:?}", store.name);
            }
        }
        eprintln!("requests of a plan on {} (lines, requests): {table:?}", store.name);
        let ledger = pulled(&scratch);
        assert_eq!(ledger.of("forget").len(), 50, "the history stays");
    }
}

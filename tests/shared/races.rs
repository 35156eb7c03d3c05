//! Many writers at one address.

use crate::life::{codes, dropping, pulled};
use crate::store::Store;
use crate::support::{Platform, Scratch, manifest};

const WRITERS: usize = 16;

/// In each round all apply at once: one does, and the others change nothing.
#[test]
fn of_many_applies_at_once_one_wins_each_round() {
    let rounds: usize = std::env::var("LARKSUB_TEST_RACES").ok().and_then(|it| it.parse().ok()).unwrap_or(2);
    for store in Store::all() {
        let (mut winners, mut refused) = (0, 0);
        let all = codes(1);
        let platform = Platform::start(&all, &["--latency", "400ms..400ms"]);
        let scratch = dropping(&store, &platform.url, &all);
        for round in 0..rounds {
            let before = platform.calls().len();
            let running: Vec<_> = (0..WRITERS).map(|_| scratch.spawn("apply --auto-approve")).collect();
            let ran: Vec<_> = running.into_iter().map(|one| one.wait()).collect();
            let sent = ran
                .iter()
                .filter(|ran| {
                    ran.stdout.contains("1 unsubscribed") || ran.stdout.contains("already_unsubscribed ")
                })
                .count();
            assert_eq!(sent, 1, "{} round {round}: {ran:?}", store.name);
            for ran in &ran {
                assert!(matches!(ran.status, Some(0 | 5)), "{} {ran}", store.name);
            }
            winners += sent;
            refused += ran.iter().filter(|ran| ran.status == Some(5)).count();
            assert_eq!(platform.calls().len(), before + 1, "{} round {round}", store.name);
            let runs = pulled(&scratch).of("run").len();
            assert_eq!(runs, round + 1, "{} round {round}", store.name);
            scratch.aside(&format!("import --app hr {}", all[0])).exit(0);
        }
        eprintln!(
            "races on {}: {rounds} rounds of {WRITERS}, {winners} winners, {refused} refused",
            store.name
        );
    }
}

#[test]
fn of_many_beginnings_at_once_one_is_the_ledger() {
    for store in Store::all() {
        let scratch = Scratch::new();
        store.set(&scratch);
        scratch.write("larksub.toml", manifest("http://127.0.0.1:1", &codes(1)));
        let running: Vec<_> = (0..WRITERS).map(|_| scratch.spawn("init")).collect();
        let begun = running.into_iter().map(|one| one.wait()).filter(|ran| ran.status == Some(0)).count();
        assert_eq!(begun, 1, "{}", store.name);
        assert_eq!(pulled(&scratch).of("init").len(), 1);
    }
}

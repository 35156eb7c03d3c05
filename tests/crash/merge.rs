//! Two copies of one ledger that went different ways, older copies, and copies of something else.

use std::fs;

use crate::world::{World, json, swift_platform, truth};

/// A ledger's bytes, left as they were before something was done with a copy.
struct Fork<'a> {
    world: &'a World,
    ours: Vec<u8>,
}

impl<'a> Fork<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, ours: world.bytes() }
    }

    /// What was done since the fork becomes the other copy; the ledger is as it was at the fork.
    fn other(self) {
        fs::copy(self.world.ledger(), self.world.path("other.jsonl")).unwrap();
        fs::write(self.world.ledger(), self.ours).unwrap();
    }
}

fn merge(world: &World) -> crate::world::Ran {
    world.run(&["state", "repair", "--merge", "other.jsonl"])
}

#[test]
fn what_two_copies_did_is_put_together() {
    let world = World::imported(swift_platform());
    let fork = Fork::new(&world);
    world.run(&["import", "--app", "hr", "THEIRS"]).exits(0);
    world.run(&["state", "rm", "hr/F-FORGET", "--reason", "theirs"]).exits(0);
    fork.other();
    world.run(&["import", "--app", "hr", "OURS"]).exits(0);
    let ours = world.bytes();
    merge(&world).exits(0).says(&["Merged:", "added"]);
    assert!(world.bytes().starts_with(&ours), "a ledger is only appended to");
    let merged = world.truth();
    for (key, status) in [
        ("hr/THEIRS", "subscribed"),
        ("hr/OURS", "subscribed"),
        ("hr/F-FORGET", "forgotten"),
        ("hr/K-KEEP", "subscribed"),
    ] {
        assert_eq!(merged[key].status, status, "{key}");
    }
    // Merging again has nothing to add to what is known.
    let bytes = world.bytes();
    merge(&world).exits(0).says(&["0 records"]);
    assert_eq!(world.bytes(), bytes);
}

#[test]
fn drops_of_another_copy_are_taken_over_and_the_plan_is_empty_of_them() {
    let world = World::new(swift_platform());
    let fork = Fork::new(&world);
    world.run(&["apply", "plan.json"]).exits(3);
    let theirs = world.truth();
    fork.other();
    world.run(&["import", "--app", "hr", "OURS"]).exits(0);
    merge(&world).exits(0);
    let mut merged = world.truth();
    assert!(merged.remove("hr/OURS").is_some());
    assert_eq!(merged, theirs);
    assert_eq!(world.plan()["calls"], 2, "what is not found, and our import");
    // The merged runs are still the plan's own: resuming it calls for the rest alone.
    world.run(&["state", "rm", "hr/OURS", "--reason", "x"]).exits(0);
    let calls = world.calls().len();
    world.run(&["apply", "plan.json"]).exits(3);
    assert_eq!(world.calls().len(), calls + 1);
}

#[test]
fn an_unknown_of_another_copy_stays_unknown() {
    let world = World::new(swift_platform());
    let fork = Fork::new(&world);
    assert!(world.run_with(&["apply", "plan.json"], "answered:1=kill").was_killed());
    let unknown: Vec<String> =
        world.truth().into_iter().filter(|(_, facts)| facts.is_unknown).map(|(key, _)| key).collect();
    assert!(!unknown.is_empty());
    fork.other();
    merge(&world).exits(0);
    let merged = world.truth();
    assert!(unknown.iter().all(|key| merged[key].is_unknown), "{merged:?}");
    world.run(&["apply", "plan.json"]).exits(3);
    world.run(&["show"]).exits(0);
}

#[test]
fn what_was_imported_here_since_is_not_ended_by_what_the_other_copy_did_before() {
    let world = World::new(swift_platform());
    let fork = Fork::new(&world);
    world.run(&["apply", "plan.json"]).exits(3);
    fork.other();
    world.run(&["apply", "plan.json"]).exits(3);
    world.run(&["import", "--app", "hr", "A-DROP"]).exits(0);
    let before = world.truth();
    assert_eq!(before["hr/A-DROP"].status, "subscribed");
    merge(&world).exits(0).says(&["hr/A-DROP"]);
    let merged = world.truth();
    assert_eq!(merged["hr/A-DROP"].status, "subscribed", "a subscription that lives was written off");
    assert_eq!(merged["hr/A-DROP"].generation, before["hr/A-DROP"].generation);
}

#[test]
fn another_ledger_is_refused() {
    let (world, other) = (World::new(swift_platform()), World::new(swift_platform()));
    fs::copy(other.ledger(), world.path("other.jsonl")).unwrap();
    let before = world.bytes();
    merge(&world).exits(4).says(&["not copies of one ledger", "lineage"]);
    fs::write(world.path("other.jsonl"), "{}").unwrap();
    merge(&world).exits(1);
    fs::remove_file(world.path("other.jsonl")).unwrap();
    merge(&world).exits(1);
    assert_eq!(world.bytes(), before);
}

#[test]
fn an_older_copy_or_one_that_went_another_way_is_refused_by_a_reviewed_plan() {
    let world = World::imported(swift_platform());
    let older = world.bytes();
    world.run(&["import", "--app", "hr", "N-1"]).exits(0);
    let text = fs::read_to_string(world.path("larksub.toml")).unwrap();
    world.write_manifest(&text.replace("{ approval_code = \"A-DROP\" },", ""));
    world.run(&["plan", "--out", "plan.json"]).exits(0);
    let newer = world.bytes();
    let older_than_plan = fs::write(world.ledger(), &older);
    older_than_plan.unwrap();
    let says = ["the state is older than the plan", "get the newest ledger"];
    world.run(&["apply", "plan.json"]).exits(4).says(&says);
    assert_eq!(world.bytes(), older);
    world.run(&["import", "--app", "hr", "N-2"]).exits(0);
    world.run(&["apply", "plan.json"]).exits(4).says(&["the state went another way"]);
    assert!(world.sandbox.calls().is_empty());
    // Compaction is no other way.
    fs::write(world.ledger(), &newer).unwrap();
    world.run(&["state", "compact"]).exits(0);
    world.run(&["apply", "plan.json"]).exits(3);
    assert_eq!(world.calls(), ["hr/A-DROP", "hr/N-1"]);
}

#[test]
fn merging_writes_nothing_into_the_other_copy() {
    let world = World::imported(swift_platform());
    let fork = Fork::new(&world);
    world.run(&["import", "--app", "hr", "THEIRS"]).exits(0);
    fork.other();
    let other = fs::read(world.path("other.jsonl")).unwrap();
    merge(&world).exits(0);
    assert_eq!(fs::read(world.path("other.jsonl")).unwrap(), other);
    let theirs = world.run(&["--state", "other.jsonl", "show", "--format", "json"]).exits(0);
    assert_eq!(truth(&json(&theirs.stdout)), world.truth());
}

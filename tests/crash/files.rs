//! The file stays what it was made: a symbolic link, its mode; and its order is that of its lines, not of clocks.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use crate::world::{World, key, lines, swift_platform};

#[test]
fn a_linked_ledger_stays_a_link_and_keeps_its_mode_and_owner_through_everything() {
    let world = World::new(swift_platform());
    let real = world.path("real");
    fs::create_dir(&real).unwrap();
    let real = real.join("hr.jsonl");
    fs::rename(world.ledger(), &real).unwrap();
    symlink("real/hr.jsonl", world.ledger()).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    let owner = fs::metadata(&real).unwrap().uid();
    let is_kept = |after: &str| {
        assert!(fs::symlink_metadata(world.ledger()).unwrap().is_symlink(), "{after}");
        let meta = fs::symlink_metadata(&real).unwrap();
        assert!(meta.is_file(), "{after}");
        assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o640, owner), "{after}");
    };
    world.run(&["import", "--app", "hr", "N-1"]).exits(0);
    is_kept("import");
    world.run(&["state", "rm", "hr/N-1", "--reason", "never was"]).exits(0);
    is_kept("rm");
    world.run(&["apply", "plan.json"]).exits(3);
    is_kept("apply");
    let truth = world.truth();
    world.run(&["state", "compact"]).exits(0);
    is_kept("compact");
    let mut bytes = fs::read(&real).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&real, &bytes).unwrap();
    world.run(&["plan"]).exits(1);
    world.run(&["state", "repair"]).exits(0);
    is_kept("repair");
    world.run(&["show"]).exits(0);
    assert!(world.truth().len() < truth.len(), "a snapshot is lost");
    fs::write(&real, [&fs::read(&real).unwrap()[..], b"{\"seq\":"].concat()).unwrap();
    world.run(&["state", "repair"]).exits(0);
    is_kept("a trimmed tail");
    // Whatever is kept stands beside the real file, and nothing beside the link.
    let beside: Vec<String> = world.others().into_iter().collect();
    assert_eq!(beside, ["real"]);
    let mut kept: Vec<String> = fs::read_dir(real.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.sort();
    let suffixes: Vec<&str> = kept.iter().map(|name| name.strip_prefix("hr.jsonl").unwrap()).collect();
    assert!(
        matches!(&suffixes[..], ["", range, ".damaged", tail]
        if range.starts_with(".1-") && tail.starts_with(".tail-")),
        "{suffixes:?}"
    );
    // A ledger's bytes are nobody else's business, wherever they are kept.
    for name in &kept {
        let mode = fs::metadata(real.with_file_name(name)).unwrap().mode() & 0o7777;
        assert_eq!(mode & 0o007, 0, "{name} is {mode:o}");
    }
}

/// The same ledger with every record's time counted backwards from the newest.
fn backwards(bytes: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for (number, text) in String::from_utf8(bytes.to_vec()).unwrap().lines().enumerate() {
        let body = &text[..text.rfind(",\"crc\"").unwrap()];
        let mut changed = String::new();
        let mut rest = body;
        while let Some(at) = rest.find("\"at\":\"") {
            let (before, after) = rest.split_at(at + 6);
            changed.push_str(before);
            changed.push_str(&format!("2026-01-01T{:02}:00:00Z", 23 - number.min(23)));
            rest = &after[after.find('"').unwrap()..];
        }
        changed.push_str(rest);
        out.push_str(&format!("{changed},\"crc\":\"{:08x}\"}}\n", crc32c::crc32c(changed.as_bytes())));
    }
    out.into_bytes()
}

#[test]
fn a_clock_that_runs_backwards_changes_neither_the_order_nor_what_it_adds_up_to() {
    let world = World::new(swift_platform());
    world.run(&["apply", "plan.json"]).exits(3);
    world.run(&["import", "--app", "hr", "A-DROP"]).exits(0);
    let (truth, digest) = (world.truth(), world.plan()["digest"].clone());
    let order: Vec<String> = lines(&world.bytes())
        .concat()
        .iter()
        .map(|record| format!("{} {}", record["op"], key(record)))
        .collect();
    fs::write(world.ledger(), backwards(&world.bytes())).unwrap();
    assert_eq!(world.truth(), truth);
    assert_eq!(world.plan()["digest"], digest);
    let told = crate::world::json(&world.run(&["state", "history", "--format", "json"]).exits(0).stdout);
    let told: Vec<String> = told["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} {}", entry["op"], key(entry)))
        .collect();
    assert_eq!(told, order);
    // What is written next follows all the same, and so does what a repair or a compaction makes of it.
    world.run(&["state", "compact"]).exits(0);
    assert_eq!(world.truth(), truth);
    assert_eq!(world.plan()["digest"], digest);
    let again = world.run(&["apply", "--auto-approve"]).exits(3);
    assert_eq!(again.printed()["hr/A-DROP"], "already_unsubscribed");
}

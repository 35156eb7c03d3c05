//! SIGKILL at random moments, against a platform that takes its time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larksub::sandbox::Config;

use crate::world::{Approach, CALLS, World, begin, end, soak, swift_platform, trials};

/// Small and good enough to choose moments: xorshift.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % (most + 1)
    }
}

#[test]
fn soak_random_kills_lose_nothing() {
    let count = soak().unwrap_or(30);
    let kills = AtomicUsize::new(0);
    trials(count, |number| {
        kills.fetch_add(one(number), Ordering::Relaxed);
    });
    eprintln!("random kills: {count} applies killed {} times, 0 outcomes lost", kills.into_inner());
}

/// One apply, killed until it comes through; how often it was.
fn one(number: usize) -> usize {
    let latency = "2ms..30ms".parse().unwrap();
    let world = World::new(Config { latency, seed: number as u64, ..swift_platform() });
    let apply = world.apply(Approach::of(number));
    let args: Vec<&str> = apply.iter().map(String::as_str).collect();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut doubtful = BTreeSet::new();
    for kills in 0.. {
        let mut child = begin(&mut world.larksub(&args));
        // An apply takes a tenth of a second or two; after some kills it is let through.
        let is_last = kills == 8;
        if !is_last {
            std::thread::sleep(Duration::from_millis(5 + dice.up_to(130)));
            child.kill().unwrap();
        }
        let ran = end(child);
        doubtful.extend(world.check(&ran));
        if !ran.was_killed() {
            ran.exits(3);
            world.check_settled(&doubtful);
            for key in CALLS {
                let calls = world.calls().iter().filter(|called| *called == key).count();
                assert!(
                    (1..=kills + 1).contains(&calls),
                    "{key} was called {calls} times in {} runs",
                    kills + 1
                );
            }
            return kills;
        }
    }
    unreachable!()
}

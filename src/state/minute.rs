//! The calls of the last minute, which the platform's quota still counts. Pure; told what time it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::sum::{AppIndex, State};
use crate::subscription::TenantKey;

/// For how long the platform counts a call, and a second in which clocks may disagree.
const MINUTE: SignedDuration = SignedDuration::from_secs(61);

/// No quota is larger; what a ledger says may be any number.
const MOST: u32 = 100;

/// How often a call may have been sent of which nothing but its intent is known.
const TRIES: u32 = 4;

/// How long ago calls were answered, by app and tenant.
pub type Ages<'a> = BTreeMap<(AppIndex, Option<&'a TenantKey>), Vec<Duration>>;

/// The calls that came to one outcome.
#[derive(Debug, Clone, Copy)]
struct Answered {
    /// When it was recorded: each of them was answered by then.
    at: Timestamp,
    /// Its position among the state's subscriptions.
    subscription: usize,
    /// How many there were.
    calls: u32,
}

/// The calls of the minute before the newest record. Subscriptions are named by their position in the state.
#[derive(Debug, Clone, Default)]
pub(super) struct LastMinute {
    answered: VecDeque<Answered>,
    /// What the newest run has begun and not ended yet.
    open: BTreeSet<usize>,
}

impl LastMinute {
    /// A run begins: the one before is dead, and so what it had begun has been answered or given up.
    pub(super) fn run(&mut self, at: Timestamp) {
        for subscription in std::mem::take(&mut self.open) {
            self.answered(at, subscription, at, TRIES);
        }
    }

    /// A call is about to be sent.
    pub(super) fn intent(&mut self, subscription: usize) {
        self.open.insert(subscription);
    }

    /// It has come to an outcome.
    pub(super) fn outcome(&mut self, at: Timestamp, subscription: usize, calls: u32) {
        self.open.remove(&subscription);
        self.answered(at, subscription, at, calls);
    }

    /// Notes calls that were answered by then, and lets go what is older than a minute.
    pub(super) fn answered(&mut self, now: Timestamp, subscription: usize, at: Timestamp, calls: u32) {
        // Where the clock was set back, what was before is taken to have been just now.
        for ahead in self.answered.iter_mut().rev().take_while(|answered| answered.at > now) {
            ahead.at = now;
        }
        while self.answered.front().is_some_and(|first| now.duration_since(first.at) >= MINUTE) {
            self.answered.pop_front();
        }
        if calls > 0 && now.duration_since(at) < MINUTE {
            self.answered.push_back(Answered { at, subscription, calls });
        }
    }
}

impl State {
    /// How long ago each call was answered that the platform may still count at `now`, the wall clock's time; zero
    /// where a clock has been set back. A call that was cut off by the death of its run may have been tried four
    /// times, and may have arrived after everything that the ledger tells: each counts as answered just now.
    pub fn calls_of_last_minute(&self, now: Timestamp) -> Ages<'_> {
        let mut ages: Ages<'_> = BTreeMap::new();
        let LastMinute { answered, open } = &self.last_minute;
        let open = open.iter().map(|subscription| (*subscription, SignedDuration::ZERO, TRIES));
        let answered = answered
            .iter()
            .map(|answered| (answered.subscription, now.duration_since(answered.at), answered.calls));
        for (subscription, age, calls) in answered.filter(|(_, age, _)| *age < MINUTE).chain(open) {
            let Some((id, _)) = self.subscriptions.get_index(subscription) else { continue };
            let age = Duration::try_from(age).unwrap_or_default();
            let of_lane = ages.entry((id.app, id.tenant_key.as_ref())).or_default();
            of_lane.extend(std::iter::repeat_n(age, calls.min(MOST) as usize));
        }
        ages
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::state::line::write_lines;
    use crate::state::record::{By, Record};
    use crate::state::{compact, read};

    const RUN: &str = r#""run":"00000000-0000-0000-0000-000000000001""#;

    fn at(second: u32) -> Timestamp {
        format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60).parse().unwrap()
    }

    /// A run in which each of these was answered at a second after so many tries; none: never.
    fn state(calls: &[(u32, Option<u32>)], ends: bool) -> State {
        let mut texts = vec![
            r#"{"op":"init","at":"2026-01-01T00:00:00Z","format":"larksub.state","version":1,"lineage":"00000000-0000-0000-0000-000000000009","by":{}}"#.to_owned(),
            r#"{"op":"bind","at":"2026-01-01T00:00:00Z","app":"isv","app_id":"cli_a","base_url":"https://open.feishu.cn","kind":"store"}"#.to_owned(),
            format!(r#"{{"op":"run","at":"2026-01-01T00:00:00Z",{RUN},"plan_digest":"x","by":{{}}}}"#),
        ];
        for (number, (second, tries)) in calls.iter().enumerate() {
            let place = format!(r#""app":"isv","tenant_key":"t{}","approval_code":"A-{number}""#, number % 2);
            let at = format!(r#""at":"{}""#, at(*second));
            texts.push(format!(r#"{{"op":"track",{at},{place},"by":{{}}}}"#));
            texts.push(format!(r#"{{"op":"intent",{at},{RUN},{place}}}"#));
            let Some(tries) = tries else { continue };
            texts
                .push(format!(r#"{{"op":"outcome",{at},{RUN},{place},"kind":"failed","attempts":{tries}}}"#));
        }
        if ends {
            texts.push(format!(r#"{{"op":"end","at":"{}",{RUN},"how":"done"}}"#, at(300)));
        }
        let records: Vec<Record<'_>> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        read::read(write_lines(1, &records).unwrap().as_bytes()).unwrap().state
    }

    fn told(state: &State, now: u32) -> String {
        let mut text = String::new();
        for ((_, tenant), ages) in state.calls_of_last_minute(at(now)) {
            let ages: Vec<u64> = ages.iter().map(Duration::as_secs).collect();
            let _ = write!(text, "{}: {ages:?} ", tenant.unwrap());
        }
        text
    }

    #[test]
    fn calls_count_for_a_minute_after_their_answer() {
        let state = state(&[(0, Some(1)), (10, Some(1)), (20, Some(2)), (21, Some(1))], true);
        assert_eq!(told(&state, 25), "t0: [25, 5, 5] t1: [15, 4] ");
        assert_eq!(told(&state, 71), "t0: [51, 51] t1: [50] ");
        assert_eq!(told(&state, 82), "");
    }

    #[test]
    fn a_clock_that_was_set_back_makes_calls_new_not_old() {
        let state = state(&[(100, Some(1)), (200, Some(1)), (30, Some(1))], true);
        assert_eq!(told(&state, 20), "t0: [0] t1: [0] ");
        assert_eq!(told(&state, 40), "t0: [10] t1: [10] ");
        assert_eq!(told(&state, 91), "");
    }

    #[test]
    fn a_call_that_was_cut_off_counts_as_four_that_were_answered_just_now() {
        assert_eq!(told(&state(&[(0, Some(1)), (1, None)], false), 200), "t1: [0, 0, 0, 0] ");
    }

    #[test]
    fn what_was_cut_off_is_not_forgotten_when_the_next_run_begins() {
        let mut state = state(&[(0, Some(1)), (1, None), (1, None)], false);
        let run = |number: u32, second| {
            let run = format!(r#""run":"00000000-0000-0000-0000-00000000000{number}""#);
            format!(r#"{{"op":"run","at":"{}",{run},"plan_digest":"x","by":{{}}}}"#, at(second))
        };
        for (number, second) in [(2, 100), (3, 110)] {
            state.fold(serde_json::from_str(&run(number, second)).unwrap()).unwrap();
            let age = 120 - second;
            assert!(
                told(&state, 120).starts_with(&format!("t0: [{0}, {0}", age.max(20))),
                "{}",
                told(&state, 120)
            );
        }
        // An import settles what nobody knows; it does not take the calls back.
        let track = format!(
            r#"{{"op":"track","at":"{}","app":"isv","tenant_key":"t1","approval_code":"A-1","by":{{}}}}"#,
            at(111)
        );
        state.fold(serde_json::from_str(&track).unwrap()).unwrap();
        assert_eq!(told(&state, 120), "t0: [20, 20, 20, 20] t1: [20, 20, 20, 20] ");
        assert_eq!(told(&state, 161), "");
    }

    #[test]
    fn compacting_forgets_no_call_of_the_last_minute() {
        let before = state(&[(0, Some(1)), (200, Some(3)), (220, Some(1))], true);
        let records = compact::records(&before, at(230), By::default());
        let after = read::read(write_lines(1, &records).unwrap().as_bytes()).unwrap().state;
        assert_eq!(told(&after, 240), told(&before, 240));
        assert_eq!(told(&after, 240), "t0: [20] t1: [40, 40, 40] ");
    }

    #[test]
    fn a_number_of_tries_that_cannot_be_costs_no_memory() {
        let ages = state(&[(0, Some(u32::MAX))], true);
        assert_eq!(ages.calls_of_last_minute(at(1)).values().map(Vec::len).sum::<usize>(), 100);
    }
}

//! The calls of the last minute, which the platform's quota still counts. Pure; told what time it is.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::sum::{AppIndex, OpenIntent, State};
use crate::subscription::TenantKey;

/// For how long the platform counts a call.
const MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// No quota is larger; what a ledger says may be any number.
const MOST: u32 = 100;

/// How long ago calls were answered, by app and tenant.
pub type Ages<'a> = BTreeMap<(AppIndex, Option<&'a TenantKey>), Vec<Duration>>;

/// The calls that came to one outcome.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    /// When it was recorded: each of them was answered by then.
    pub at: Timestamp,
    /// Its position among the state's subscriptions.
    pub subscription: usize,
    /// How many there were.
    pub calls: u32,
}

/// The calls of the minute before the newest record.
#[derive(Debug, Clone, Default)]
pub(super) struct LastMinute(VecDeque<Answered>);

impl LastMinute {
    /// Notes what a record of that time says, and lets go what is older than a minute by then.
    pub(super) fn note(&mut self, now: Timestamp, answered: Answered) {
        let is_over = |answered: &Answered| now.duration_since(answered.at) >= MINUTE;
        while self.0.front().is_some_and(is_over) {
            self.0.pop_front();
        }
        if !is_over(&answered) {
            self.0.push_back(answered);
        }
    }
}

impl State {
    /// How long ago each call was answered that the platform may still count at `now`, the wall clock's time; zero
    /// where a clock has been set back. A call that was cut off by the death of its run may have arrived after
    /// everything that the ledger tells: it counts as answered just now.
    pub fn calls_of_last_minute(&self, now: Timestamp) -> Ages<'_> {
        let mut ages: Ages<'_> = BTreeMap::new();
        for Answered { at, subscription, calls } in &self.last_minute.0 {
            let age = now.duration_since(*at);
            if let Some((id, _)) = self.subscriptions.get_index(*subscription).filter(|_| age < MINUTE) {
                let age = Duration::try_from(age).unwrap_or_default();
                let of_lane = ages.entry((id.app, id.tenant_key.as_ref())).or_default();
                of_lane.extend(std::iter::repeat_n(age, (*calls).min(MOST) as usize));
            }
        }
        let cut_off = self.runs.last().filter(|(_, run)| run.end.is_none()).map(|(run, _)| run);
        let is_cut_off = |intent: &OpenIntent| Some(&intent.run) == cut_off;
        for (id, subscription) in &self.subscriptions {
            if subscription.own_intent.as_deref().is_some_and(is_cut_off) {
                ages.entry((id.app, id.tenant_key.as_ref())).or_default().push(Duration::ZERO);
            }
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
        assert_eq!(told(&state, 70), "t0: [50, 50] t1: [49] ");
        assert_eq!(told(&state, 81), "");
    }

    #[test]
    fn a_clock_that_was_set_back_makes_calls_new_not_old() {
        assert_eq!(told(&state(&[(100, Some(1)), (200, Some(1))], true), 30), "t1: [0] ");
    }

    #[test]
    fn a_call_that_was_cut_off_counts_as_new_until_its_run_has_an_end() {
        assert_eq!(told(&state(&[(0, Some(1)), (1, None)], false), 200), "t1: [0] ");
        assert_eq!(told(&state(&[(0, Some(1)), (1, None)], true), 200), "");
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

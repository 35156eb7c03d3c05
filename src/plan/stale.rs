//! What has become of the ledger since a saved plan was made from it.

use super::review::{Misplaced, check_ledger_words, check_words};
use super::{Plan, base};
use crate::state::{Contains, Lines, State};

/// Why a saved plan may no longer be what would happen. `apply` decides that by the digest; this only warns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// The line that the plan was made from.
    pub plan_serial: u64,
    /// The ledger's last line now.
    pub state_serial: u64,
    /// Whether the ledger's history holds the plan's line, as far as it goes back.
    pub history: Contains,
    /// What runs of this very plan have done of it.
    pub applied: Applied,
    /// What it tells otherwise than the very facts that it was made from; then nothing in it is to be believed.
    pub told: Option<&'static str>,
}

/// How much of a plan its own runs have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Nothing, or nothing that the ledger tells.
    Not,
    /// Some of its calls and forgets.
    Partly {
        /// How many.
        done: u64,
        /// Of how many.
        of: u64,
    },
    /// All of them.
    Wholly,
}

/// Compares a saved plan with a state; none where nothing has moved and it tells what the state does, and where the state
/// is of another lineage: then it tells nothing of this plan. `fresh` is what planning gives now, where that is known.
pub fn stale(plan: &Plan, state: &State, lines: &Lines, fresh: Option<&Plan>) -> Option<Stale> {
    if plan.facts.lineage != state.lineage {
        return None;
    }
    let crc = u32::from_str_radix(&plan.facts.tail_crc, 16).unwrap_or_default();
    let history = lines.contains(plan.facts.serial, crc);
    let is_here = state.serial == plan.facts.serial && history == Contains::Yes;
    let told = if is_here { untold(plan, state, fresh) } else { None };
    if is_here && told.is_none() {
        return None;
    }
    let applied = match base::done(plan, state) {
        (0, _) => Applied::Not,
        (done, of) if done == of => Applied::Wholly,
        (done, of) => Applied::Partly { done, of },
    };
    Some(Stale { plan_serial: plan.facts.serial, state_serial: state.serial, history, applied, told })
}

/// What a plan tells otherwise than its own ledger's last line, or than planning gives where it does the same.
fn untold(plan: &Plan, state: &State, fresh: Option<&Plan>) -> Option<&'static str> {
    let fresh = fresh.filter(|fresh| fresh.digest == plan.digest);
    let checked =
        check_ledger_words(plan, state).and_then(|()| fresh.map_or(Ok(()), |fresh| check_words(plan, fresh)));
    match checked {
        Err(Misplaced::Told(what)) => Some(what),
        _ => None,
    }
}

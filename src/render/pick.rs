//! What stands out among a plan's drops, and which of them are listed where there is no room for all. Pure: of a plan and
//! nothing else.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::plan::{Drop, Plan, Rule, Verdict};
use crate::subscription::AppLabel;
use crate::text::is_blank;

/// Why a drop stands out; of several reasons the first in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The state protects it.
    Protected,
    /// It has no owner, and most of the others have one.
    NoOwner,
    /// Another owner has at least half of what goes, and this one hardly any of it.
    MinorityOwner,
    /// It was tried before without success.
    FailedBefore,
    /// It has no reason, and most of the others have one.
    NoReason,
}

impl Why {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::Protected, Self::NoOwner, Self::MinorityOwner, Self::FailedBefore, Self::NoReason];

    /// The word for it, which every form uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::NoOwner => "no owner",
            Self::MinorityOwner => "minority owner",
            Self::FailedBefore => "failed before",
            Self::NoReason => "no reason",
        }
    }
}

/// A drop, and why it stands out if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked<'a> {
    /// The drop.
    pub drop: &'a Drop,
    /// Why it stands out; none where it is one among many.
    pub why: Option<Why>,
}

/// Every drop of a plan, in order, marked. A drop is compared with the others of its app and tenant; whether a missing
/// owner or reason is unusual, with the whole plan where it is the only one there.
pub fn marked(plan: &Plan) -> Vec<Marked<'_>> {
    let protected: HashSet<&str> = plan
        .guards
        .iter()
        .filter(|guard| guard.rule == Rule::Protected && guard.verdict == Verdict::Refused)
        .filter_map(|guard| guard.key.as_deref())
        .collect();
    let everywhere = Habits::of(&plan.drops);
    let mut marked = Vec::with_capacity(plan.drops.len());
    for group in plan.drops.chunk_by(|a, b| a.app == b.app && a.tenant_key == b.tenant_key) {
        let here = Habits::of(group);
        let habits = if group.len() == 1 { &everywhere } else { &here };
        marked.extend(group.iter().map(|drop| {
            let why = if !protected.is_empty() && protected.contains(drop.key().to_string().as_str()) {
                Some(Why::Protected)
            } else if habits.owned && !has(&drop.owner) {
                Some(Why::NoOwner)
            } else if here.is_minority(drop) {
                Some(Why::MinorityOwner)
            } else if drop.outcome.is_some() {
                Some(Why::FailedBefore)
            } else if habits.reasoned && !has(&drop.reason) {
                Some(Why::NoReason)
            } else {
                None
            };
            Marked { drop, why }
        }));
    }
    marked
}

/// How many stand out.
pub fn out_count(drops: &[Marked<'_>]) -> usize {
    drops.iter().filter(|marked| marked.why.is_some()).count()
}

/// The apps of which everything that is tracked would be dropped, with how much that is; none where nothing else is
/// tracked either, which the verdict says. Without what is pending whatever becomes of a change.
pub fn whole_apps(plan: &Plan) -> Vec<(&AppLabel, u64)> {
    if plan.calls == plan.counts.tracked {
        return Vec::new();
    }
    let mut calls: HashMap<&AppLabel, (u64, bool)> = HashMap::new();
    let sent = plan.unknowns.iter().filter(|unknown| !unknown.declared).map(|it| (&it.app, it.pending));
    for (app, pending) in sent.chain(plan.drops.iter().map(|it| (&it.app, it.pending))) {
        let (number, own) = calls.entry(app).or_default();
        *number += 1;
        *own |= !pending;
    }
    let apps = plan.facts.apps.iter().filter(|app| calls.get(&app.app) == Some(&(app.tracked, true)));
    apps.map(|app| (&app.app, app.tracked)).collect()
}

fn has(text: &Option<String>) -> bool {
    text.as_deref().is_some_and(|text| !is_blank(text))
}

/// What is usual among some drops.
struct Habits<'a> {
    len: usize,
    /// Most have an owner, or a reason.
    owned: bool,
    reasoned: bool,
    owners: HashMap<&'a str, usize>,
    /// One owner has at least half of them.
    is_one_owners: bool,
}

impl<'a> Habits<'a> {
    fn of(drops: &'a [Drop]) -> Self {
        let len = drops.len();
        let most = |number: usize| number * 2 > len;
        let mut owners: HashMap<&str, usize> = HashMap::new();
        for owner in drops.iter().filter(|drop| has(&drop.owner)).filter_map(|drop| drop.owner.as_deref()) {
            *owners.entry(owner).or_default() += 1;
        }
        Self {
            len,
            owned: most(owners.values().sum()),
            reasoned: most(drops.iter().filter(|drop| has(&drop.reason)).count()),
            is_one_owners: owners.values().any(|number| number * 2 >= len),
            owners,
        }
    }

    /// One drop of several, or at most a tenth of them and fewer than five.
    fn is_minority(&self, drop: &Drop) -> bool {
        let number = drop.owner.as_deref().and_then(|owner| self.owners.get(owner)).copied();
        self.is_one_owners
            && number.is_some_and(|number| {
                number * 2 < self.len && (number == 1 || number < 5 && number * 10 <= self.len)
            })
    }
}

/// The positions of those that are listed, in order, where there is room for `most`: those that stand out, the first,
/// the last, and then from both ends inwards. Where there is room for four, the first and the last come before all.
pub fn pick(drops: &[Marked<'_>], most: usize) -> Vec<usize> {
    let len = drops.len();
    if most >= len {
        return (0..len).collect();
    }
    let mut out: Vec<(Why, usize)> = drops
        .iter()
        .enumerate()
        .filter_map(|(position, marked)| marked.why.map(|why| (why, position)))
        .collect();
    out.sort_unstable();
    let out = out.into_iter().map(|(_, position)| position);
    let limits = (most >= 4).then_some([0, len - 1]).into_iter().flatten();
    let ends = (0..len.div_ceil(2)).flat_map(|step| [step, len - 1 - step]);
    let mut picked = BTreeSet::new();
    for position in limits.chain(out).chain(ends) {
        if picked.len() >= most {
            break;
        }
        picked.insert(position);
    }
    picked.into_iter().collect()
}

/// How many of `room` each list gets, of lists that have so many that stand out, and so many in all: what stands out
/// over all lists, then one each, then the rest evenly. Where there is room for four each, what stands out elsewhere
/// leaves each its first.
pub fn shares(lists: &[(usize, usize)], room: usize) -> Vec<usize> {
    let mut shares = vec![0; lists.len()];
    let kept = if room / 4 >= lists.len() { lists.len() } else { 0 };
    let rest = fill(lists, &mut shares, room - kept, |out, _| out);
    let rest = fill(lists, &mut shares, rest + kept, |_, len| len.min(1));
    fill(lists, &mut shares, rest, |_, len| len);
    shares
}

/// Brings each share up to what its list wants, evenly as far as it goes; returns what is left.
fn fill(
    lists: &[(usize, usize)],
    shares: &mut [usize],
    room: usize,
    wants: fn(usize, usize) -> usize,
) -> usize {
    let mut left = room;
    loop {
        let lacking =
            |((out, len), share): (&(usize, usize), &usize)| wants(*out, *len).saturating_sub(*share);
        let mut waiting = lists.iter().zip(shares.iter()).filter(|it| lacking(*it) > 0).count();
        if waiting == 0 || left == 0 {
            return left;
        }
        for ((out, len), share) in lists.iter().zip(shares.iter_mut()) {
            let lacks = wants(*out, *len).saturating_sub(*share);
            if lacks > 0 {
                let more = lacks.min(left.div_ceil(waiting));
                *share += more;
                left -= more;
                waiting -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;

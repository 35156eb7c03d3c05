//! Which drops are listed where there is no room for all: those that stand out among their neighbours go first.

use std::collections::{BTreeSet, HashMap};

use crate::plan::Drop;
use crate::text::is_blank;

/// For each drop of one app, whether a reviewer should see it before the others: it was tried before without success;
/// it has no owner or no reason where most of the others have one; or its owner has no other drop here, where one
/// owner has most of them.
pub fn standing_out(drops: &[&Drop]) -> Vec<bool> {
    let has = |text: &Option<String>| text.as_deref().is_some_and(|text| !is_blank(text));
    let most = |number: usize| number * 2 > drops.len();
    let owned = most(drops.iter().filter(|drop| has(&drop.owner)).count());
    let reasoned = most(drops.iter().filter(|drop| has(&drop.reason)).count());
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for owner in drops.iter().filter_map(|drop| drop.owner.as_deref()) {
        *owners.entry(owner).or_default() += 1;
    }
    let is_one_owners = owners.values().any(|number| most(*number));
    let is_odd = |owner: &Option<String>| owner.as_deref().is_some_and(|owner| owners.get(owner) == Some(&1));
    drops
        .iter()
        .map(|drop| {
            drop.outcome.is_some()
                || owned && !has(&drop.owner)
                || reasoned && !has(&drop.reason)
                || is_one_owners && is_odd(&drop.owner)
        })
        .collect()
}

/// The positions of those that are listed, in order, where there is room for `most`: the first and the last, those that
/// stand out, and then from both ends inwards. Of two the second is one that stands out.
pub fn pick(standing_out: &[bool], most: usize) -> Vec<usize> {
    let len = standing_out.len();
    if most >= len {
        return (0..len).collect();
    }
    let out = (0..len).filter(|position| standing_out.get(*position) == Some(&true));
    let ends = (0..len.div_ceil(2)).flat_map(|step| [step, len - 1 - step]);
    let mut picked = BTreeSet::new();
    let last = (most > 2).then_some(len - 1);
    for position in std::iter::once(0).chain(last).chain(out).chain(ends) {
        if picked.len() >= most {
            break;
        }
        picked.insert(position);
    }
    picked.into_iter().collect()
}

/// How many of `room` each list gets, of lists that want so many: one each, as far as it goes, then what stands out
/// in each, then the rest; each time what one list leaves of its share is the next one's.
pub fn shares(lists: &[(usize, usize)], room: usize) -> Vec<usize> {
    let mut shares = vec![0; lists.len()];
    let mut left = room;
    for wants in [|_: usize, _: usize| 1, |out, len: usize| len.min(out + 2), |_, len| len] {
        let mut waiting = lists.len();
        for ((out, len), share) in lists.iter().zip(&mut shares) {
            let fair = left.div_ceil(waiting.max(1));
            let more = wants(*out, *len).min(*len).saturating_sub(*share).min(fair);
            *share += more;
            left -= more;
            waiting -= 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_out_is_kept_and_the_first_always_is() {
        let mut out = vec![false; 100];
        out[50] = true;
        out[70] = true;
        assert_eq!(pick(&out, 1), [0]);
        assert_eq!(pick(&out, 2), [0, 50]);
        assert_eq!(pick(&out, 4), [0, 50, 70, 99]);
        assert_eq!(pick(&out, 6), [0, 1, 50, 70, 98, 99]);
        assert_eq!(pick(&out, 0), [] as [usize; 0]);
        assert_eq!(pick(&[true; 5], 3), [0, 1, 4]);
        for most in 0..=100 {
            assert_eq!(pick(&out, most).len(), most);
        }
    }

    #[test]
    fn no_list_is_without_its_first_while_another_has_two() {
        assert_eq!(shares(&[(0, 1000), (0, 1), (0, 500)], 3), [1, 1, 1]);
        assert_eq!(shares(&[(0, 1000), (0, 1000)], 5), [3, 2]);
        assert_eq!(shares(&[(0, 2), (0, 1000)], 50), [2, 48]);
        // What stands out in the second goes before what is ordinary in the first.
        assert_eq!(shares(&[(0, 1000), (30, 1000)], 34), [2, 32]);
        assert_eq!(shares(&[(0, 9), (0, 9), (0, 9)], 2), [1, 1, 0]);
        assert_eq!(shares(&[], 5), [] as [usize; 0]);
    }
}

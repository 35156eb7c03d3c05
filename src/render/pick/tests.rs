use super::*;

fn drops(len: usize) -> Vec<Drop> {
    let drop = |number| Drop {
        app: "hr".parse().unwrap(),
        tenant_key: None,
        approval_code: format!("A-{number}").parse().unwrap(),
        name: None,
        owner: Some("people".into()),
        reason: None,
        since: jiff::Timestamp::UNIX_EPOCH,
        generation: 1,
        outcome: None,
        pending: false,
    };
    (0..len).map(drop).collect()
}

fn with(drops: &[Drop], whys: &[(usize, Why)]) -> Vec<(usize, Why)> {
    assert!(whys.iter().all(|(position, _)| *position < drops.len()));
    whys.to_vec()
}

fn listed(len: usize, out: &[(usize, Why)], most: usize) -> Vec<usize> {
    let drops = drops(len);
    let mut marked: Vec<Marked<'_>> = drops.iter().map(|drop| Marked { drop, why: None }).collect();
    for (position, why) in with(&drops, out) {
        marked[position].why = Some(why);
    }
    pick(&marked, most)
}

#[test]
fn what_stands_out_is_listed_before_the_first_and_the_gravest_before_all() {
    let out = [(50, Why::NoReason), (70, Why::Protected)];
    assert_eq!(listed(100, &out, 0), [] as [usize; 0]);
    assert_eq!(listed(100, &out, 1), [70]);
    assert_eq!(listed(100, &out, 2), [50, 70]);
    assert_eq!(listed(100, &out, 3), [0, 50, 70]);
    assert_eq!(listed(100, &out, 4), [0, 50, 70, 99]);
    assert_eq!(listed(100, &out, 6), [0, 1, 50, 70, 98, 99]);
    for most in 0..=100 {
        assert_eq!(listed(100, &out, most).len(), most);
    }
}

#[test]
fn what_stands_out_in_any_list_goes_before_what_is_ordinary_in_another() {
    assert_eq!(shares(&[(0, 8), (0, 8), (1, 8), (0, 8)], 1), [0, 0, 1, 0]);
    assert_eq!(shares(&[(0, 8), (0, 8), (1, 8), (0, 8)], 3), [1, 1, 1, 0]);
    assert_eq!(shares(&[(9, 9), (1, 1)], 6), [5, 1]);
    assert_eq!(shares(&[(0, 1000), (30, 1000)], 34), [3, 31]);
    assert_eq!(shares(&[(1000, 1000), (0, 9)], 100), [99, 1]);
    // Nobody is without its first while another has two that are ordinary.
    assert_eq!(shares(&[(0, 1000), (0, 1), (0, 500)], 3), [1, 1, 1]);
    assert_eq!(shares(&[(0, 1000), (0, 1000)], 5), [3, 2]);
    assert_eq!(shares(&[(0, 2), (0, 1000)], 50), [2, 48]);
    assert_eq!(shares(&[(0, 9), (0, 9), (0, 9)], 2), [1, 1, 0]);
    assert_eq!(shares(&[], 5), [] as [usize; 0]);
}

fn minorities(owners: &[(&str, usize)]) -> Vec<String> {
    let len = owners.iter().map(|(_, number)| number).sum();
    let mut drops = drops(len);
    let owners = owners.iter().flat_map(|(owner, number)| std::iter::repeat_n(*owner, *number));
    for (drop, owner) in drops.iter_mut().zip(owners) {
        drop.owner = Some(owner.into());
    }
    let habits = Habits::of(&drops);
    let mut odd: Vec<String> =
        drops.iter().filter(|drop| habits.is_minority(drop)).filter_map(|drop| drop.owner.clone()).collect();
    odd.dedup();
    odd
}

#[test]
fn a_minority_is_a_share_and_one_alone_is_none() {
    assert_eq!(minorities(&[("people", 28), ("finance", 2)]), ["finance"]);
    assert_eq!(minorities(&[("people", 7), ("finance", 1)]), ["finance"]);
    assert_eq!(minorities(&[("people", 900), ("finance", 4), ("legal", 1)]), ["finance", "legal"]);
    for none in [
        &[("people", 900), ("finance", 5)][..],
        &[("people", 17), ("finance", 2)],
        &[("people", 1)],
        &[("people", 1), ("finance", 1)],
        &[("people", 4), ("finance", 4), ("legal", 1)],
    ] {
        assert_eq!(minorities(none), [] as [&str; 0], "{none:?}");
    }
}

#[test]
fn a_missing_owner_is_unusual_only_where_most_have_one() {
    let mut drops = drops(10);
    let odd = |drops: &[Drop]| {
        let habits = Habits::of(drops);
        drops.iter().filter(|drop| habits.owned && !has(&drop.owner)).count()
    };
    drops[3].owner = Some("\u{a0}".into());
    drops[4].owner = None;
    assert_eq!(odd(&drops), 2);
    drops.iter_mut().for_each(|drop| drop.owner = None);
    assert_eq!(odd(&drops), 0);
}

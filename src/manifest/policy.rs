//! `[policy]` and `[apps.LABEL.policy]`: what they say, where, and which of the two holds for an app.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::alike::{letter, twin};
use super::place::{Place, list, name};
use super::tree::unknown;
use super::value::{Context, Expected, Key, Value, boolean, found_type, free_text_of, number, wrong_type};
use super::{Problem, Span};
use crate::text::is_blank;

/// The most drops in one app, in percent of what is tracked in it, where nobody says otherwise.
pub const MAX_DROP_PERCENT: u64 = 30;

/// One section of limits and demands, of all apps or of one. What it does not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The most drops: in one plan, or in one plan of this app.
    pub max_drops: Option<Given<u64>>,
    /// The most drops in one app, as a percentage of its tracked subscriptions.
    pub max_drop_percent: Option<Given<u64>>,
    /// Whether what leaves the state needs a reason.
    pub require_reason: Option<Given<bool>>,
    /// Whether every declared subscription needs an owner.
    pub require_owner: Option<Given<bool>>,
    /// The owners that there are; not escaped.
    pub owners: Option<Given<Vec<String>>>,
    /// Where the section stands, if it does.
    pub span: Option<Span>,
}

/// What a section says, and where its value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl Policy {
    /// What holds for the app whose section this is: its own key, else the general one.
    pub fn rule<'a, T>(
        &'a self,
        general: &'a Self,
        of: impl Fn(&'a Self) -> &'a Option<Given<T>>,
    ) -> Option<&'a Given<T>> {
        of(self).as_ref().or_else(|| of(general).as_ref())
    }

    /// Changes every place in it.
    pub(super) fn for_each_place(&mut self, change: impl Fn(&mut Range<usize>)) {
        let Self { max_drops, max_drop_percent, require_reason, require_owner, owners, span } = self;
        let numbers = [max_drops, max_drop_percent].into_iter().flatten().map(|given| &mut given.span);
        let demands = [require_reason, require_owner].into_iter().flatten().map(|given| &mut given.span);
        let places = numbers.chain(demands).chain(owners.iter_mut().map(|given| &mut given.span)).chain(span);
        places.for_each(|place| change(&mut place.bytes));
    }
}

/// Reads one section, which stands at `span`.
pub(super) fn read(cx: &mut Context, place: Place, table: &DeTable, span: Span) -> Policy {
    let mut policy = Policy { span: Some(span), ..Policy::default() };
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "max_drops" => {
                let why = match place {
                    Place::AppPolicy(_) => {
                        "it is the most subscriptions of this app that one plan may drop; leave it out for no such limit"
                    }
                    _ => {
                        "it is the most subscriptions that one plan may drop; leave it out for no such limit"
                    }
                };
                let most = number(cx, key, value, 0..=i64::MAX as u64, why);
                policy.max_drops = most.map(|most| given(cx, value, most));
            }
            "max_drop_percent" => {
                let why = "it is a percentage of the subscriptions that are tracked in an app";
                let most = number(cx, key, value, 0..=100, why);
                policy.max_drop_percent = most.map(|most| given(cx, value, most));
            }
            "require_reason" => {
                let demand = boolean(cx, key, value);
                policy.require_reason = Some(given(cx, value, demand));
            }
            "require_owner" => {
                let demand = boolean(cx, key, value);
                policy.require_owner = Some(given(cx, value, demand));
            }
            "owners" => policy.owners = owners(cx, key, value).map(|owners| given(cx, value, owners)),
            _ => {
                unknown(cx, place, key, value);
            }
        }
    }
    policy
}

fn given<T>(cx: &Context, at: &Value, value: T) -> Given<T> {
    Given { value, span: cx.span(at.span()) }
}

/// The owners that may be named; none where the list has a problem.
fn owners(cx: &mut Context, key: &Key, value: &Value) -> Option<Vec<String>> {
    let DeValue::Array(items) = value.get_ref() else {
        wrong_type(cx, key.get_ref(), value, Expected::Texts);
        return None;
    };
    if items.is_empty() {
        let help =
            "name them, such as `owners = [\"people-platform\"]`; leave the key out where any owner will do";
        cx.report("`owners` names nobody".into(), value.span(), "an empty list", &[help]);
        return None;
    }
    let before = cx.problems.len();
    let mut owners: Vec<(String, Range<usize>)> = Vec::with_capacity(items.len());
    for item in items {
        let Some(text) = item.get_ref().as_str() else {
            let title = format!("an owner in `owners` must be a string, not {}", found_type(item.get_ref()));
            cx.report(title, item.span(), "expected text in quotes", &[]);
            continue;
        };
        let Some(text) = free_text_of(cx, text, "owners", item) else { continue };
        if is_blank(&text) {
            cx.report(
                "an owner in `owners` is blank".into(),
                item.span(),
                "nobody",
                &["remove it, or name a team"],
            );
            continue;
        }
        if let Some((_, first)) = owners.iter().find(|(other, _)| *other == text) {
            let problem = Problem::error(format!("`{}` stands twice in `owners`", name(&text)))
                .at(cx.span(item.span()), "again here")
                .at(cx.span(first.clone()), "first here")
                .help("keep one of the two");
            cx.problems.push(problem);
            continue;
        }
        let alike = owners.iter().find_map(|(other, first)| Some((other, first, twin(&text, other)?)));
        if let Some((other, first, (here, there))) = alike {
            let title = format!("`{}` in `owners` only looks like `{}`", name(&text), name(other));
            let problem = Problem::error(title)
                .at(cx.span(item.span()), format!("here stands {}", letter(here)))
                .at(cx.span(first.clone()), format!("here {}", letter(there)))
                .help("nobody can tell the two apart: keep the right one");
            cx.problems.push(problem);
            continue;
        }
        owners.push((text, item.span()));
    }
    (cx.problems.len() == before).then(|| owners.into_iter().map(|(owner, _)| owner).collect())
}

/// The owners in a sentence, and how many more there are.
pub(super) fn named(owners: &[String]) -> String {
    const FEW: usize = 8;
    let few: Vec<String> = owners.iter().take(FEW).map(|owner| name(owner)).collect();
    let few: Vec<&str> = few.iter().map(String::as_str).collect();
    match owners.len().saturating_sub(FEW) {
        0 => list(&few),
        more => format!("`{}` and {more} more", few.join("`, `")),
    }
}

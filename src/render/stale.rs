//! Why a saved plan may no longer be what would happen, in a sentence.

use super::grouped;
use crate::plan::{Applied, Stale};
use crate::state::Contains;

/// A sentence without a full stop; nothing in it is foreign.
pub fn sentence(stale: &Stale) -> String {
    let Stale { plan_serial, state_serial, history, applied, told } = stale;
    if let Some(told) = told {
        return format!(
            "DO NOT BELIEVE THIS PLAN: {told} differ from the state that it was made from, line {}, so somebody changed it and made its checksum anew; `apply` refuses it",
            grouped(*plan_serial)
        );
    }
    let (was, is) = (grouped(*plan_serial), grouped(*state_serial));
    let moved = match history {
        Contains::Yes => format!("stale: the plan was made from line {was}, and the state has line {is} now"),
        Contains::Compacted => {
            format!(
                "stale: the plan was made from line {was}, and the state was compacted since; it has line {is} now"
            )
        }
        Contains::EndsBefore => {
            format!(
                "the state here is an older copy: it ends at line {is}, and the plan was made from line {was}"
            )
        }
        Contains::Other => {
            format!(
                "the state here went another way: its line {was} is not the one that the plan was made from"
            )
        }
    };
    match applied {
        Applied::Not => format!("{moved}; `apply` decides by the digest"),
        Applied::Partly { done, of } => format!(
            "partly applied: runs of this plan have done {} of the {} that it lists, and `apply` goes on with the rest ({moved})",
            grouped(*done),
            grouped(*of)
        ),
        Applied::Wholly => {
            format!("already applied: runs of this plan have done all that it lists ({moved})")
        }
    }
}

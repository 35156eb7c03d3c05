//! A plan as the report that GitLab's merge-request widget reads (`artifacts: reports: terraform`).

use crate::plan::Plan;

/// The counts, on one line. Nothing is ever created, and what needs no call changes nothing on the platform.
pub fn text(plan: &Plan) -> String {
    format!("{{\"create\":0,\"update\":0,\"delete\":{}}}\n", plan.calls)
}

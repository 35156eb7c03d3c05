//! A verdict and what is known of the call's own intent become an outcome. Pure.

use crate::feishu::Verdict;
use crate::state::OutcomeKind;

/// What a verdict makes of a call; none where it has to be sent again, or stops the run.
///
/// `was_lost` says that an earlier try of this subscription got no verdict: then "already unsubscribed" was us.
/// Without one it is believed only where the token proves the app, since a token of another app would be told
/// the same of subscriptions that live on.
pub fn settle(
    verdict: &Verdict,
    was_lost: bool,
    believes_misses: bool,
) -> Option<(OutcomeKind, Option<&'static str>)> {
    match verdict {
        Verdict::Done => Some((OutcomeKind::Unsubscribed, None)),
        Verdict::AlreadyDone if was_lost => {
            Some((OutcomeKind::Unsubscribed, Some("an earlier try of ours did it, and its answer was lost")))
        }
        Verdict::AlreadyDone if believes_misses => Some((OutcomeKind::AlreadyUnsubscribed, None)),
        Verdict::AlreadyDone => Some((
            OutcomeKind::Failed,
            Some("a ready-made token does not prove its app, so this is not believed; see --allow-misses"),
        )),
        Verdict::NotFound => Some((OutcomeKind::NotFound, None)),
        Verdict::Refused => Some((OutcomeKind::Failed, None)),
        Verdict::RateLimited { .. } | Verdict::NoVerdict(_) | Verdict::TokenRefused | Verdict::Stop(..) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn already_unsubscribed_is_ours_after_a_lost_try_and_believed_only_of_a_token_that_proves_its_app() {
        let kind =
            |was_lost, believes| settle(&Verdict::AlreadyDone, was_lost, believes).map(|(kind, _)| kind);
        assert_eq!(kind(true, true), Some(OutcomeKind::Unsubscribed));
        assert_eq!(kind(true, false), Some(OutcomeKind::Unsubscribed));
        assert_eq!(kind(false, true), Some(OutcomeKind::AlreadyUnsubscribed));
        assert_eq!(kind(false, false), Some(OutcomeKind::Failed));
    }
}

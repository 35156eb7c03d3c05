//! When a call may be sent: how much, how often; not what.
//!
//! A [`Bucket`] shapes the calls of one lane, that is, of one app in one tenant: never more than the rate in any
//! 60 seconds *as sent*. It runs on tokio's clock, so a test of ten thousand calls takes no time.
//!
//! A lane's other limits belong beside it, each in its own file: the slots (a call's slot comes free 60 s after
//! its answer, which holds the rate as the *server* sees it), how many calls are in flight, and what earlier
//! runs have sent in the last minute.

mod bucket;
mod clock;
mod estimate;

pub use bucket::Bucket;
pub use estimate::estimate;

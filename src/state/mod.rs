//! The state: an append-only ledger, and what it adds up to.
//!
//! [`record`], [`line`], [`fold`] and [`read`] are pure; [`ledger`] is the disk.

pub mod fold;
pub mod ledger;
pub mod line;
pub mod read;
pub mod record;

pub use fold::{AppIndex, BoundApp, Id, LastOutcome, OpenIntent, RunFacts, State, Status, Subscription};
pub use ledger::{Ledger, LedgerError};
pub use read::{Contains, Lines, Reading, Unreadable};
pub use record::{By, How, OutcomeKind, Override, OverrideFlag, Record, Str};

#[cfg(test)]
pub(crate) mod generator;
#[cfg(test)]
mod tests;

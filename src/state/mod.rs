//! The state: an append-only ledger, and what it adds up to.
//!
//! [`record`], [`line`](mod@line), [`fold`], [`read`], [`history`], [`compact`] and [`salvage`] are pure; [`ledger`] and
//! [`disk`] are the disk.

pub mod compact;
pub mod disk;
pub mod fold;
pub mod history;
pub mod ledger;
pub mod line;
pub mod read;
pub mod record;
pub mod recovery;
pub mod salvage;

pub use fold::{AppIndex, BoundApp, Id, LastOutcome, OpenIntent, RunFacts, State, Status, Subscription};
pub use ledger::{Ledger, LedgerError};
pub use read::{Contains, Lines, Reading, Unreadable};
pub use record::{By, How, OutcomeKind, Override, OverrideFlag, Record, Str};

#[cfg(test)]
pub(crate) mod generator;
#[cfg(test)]
mod tests;

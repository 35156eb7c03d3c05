//! The state: an append-only ledger, and what it adds up to.
//!
//! [`record`], [`line`](mod@line), [`fold`], [`minute`], [`read`], [`history`], [`compact`] and [`salvage`] are pure; [`ledger`], `stream` and
//! [`disk`] are the disk.

pub mod compact;
pub mod disk;
pub mod fold;
pub mod history;
pub mod ledger;
pub mod line;
pub mod minute;
mod pieces;
pub mod read;
pub mod record;
pub mod recovery;
pub mod salvage;
mod stream;
pub mod sum;
pub mod words;

pub use ledger::{Ledger, LedgerError};
pub use read::{Contains, Lines, Reading, Unreadable};
pub use record::Record;
pub use sum::{AppIndex, BoundApp, Id, LastOutcome, OpenIntent, RunFacts, State, Status, Subscription};
pub use words::{By, How, OutcomeKind, Override, OverrideFlag, Str};

#[cfg(test)]
pub(crate) mod generator;
#[cfg(test)]
mod tests;

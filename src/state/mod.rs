//! The state: an append-only ledger, and what it adds up to.
//!
//! [`record`], [`line`](mod@line), [`fold`], [`minute`], [`read`], [`history`], [`compact`], [`salvage`], [`place`] and [`unsent`] are pure;
//! [`ledger`], `stream` and [`disk`] are the disk, [`shared`] is the network, and [`reach`] is either.

pub mod compact;
pub mod disk;
pub mod fold;
pub mod history;
pub mod ledger;
pub mod line;
pub mod minute;
mod pieces;
pub mod place;
pub mod reach;
pub mod read;
pub mod record;
pub mod recovery;
pub mod salvage;
pub mod shared;
mod stream;
pub mod sum;
pub mod unsent;
pub mod words;

pub use ledger::{Ledger, LedgerError};
pub use place::Place;
pub use read::{Contains, Lines, Reading, Unreadable};
pub use record::Record;
pub use sum::{AppIndex, BoundApp, Id, LastOutcome, OpenIntent, RunFacts, State, Status, Subscription};
pub use words::{By, How, OutcomeKind, Override, OverrideFlag, Str};

#[cfg(test)]
pub(crate) mod generator;
#[cfg(test)]
mod tests;

//! `larksub manifest`.
use super::Context;
use crate::cli::{AddArgs, FromStateArgs};
use crate::error::{Exit, Failure};
/// x
pub fn add(_context: &Context, _args: &AddArgs) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
/// x
pub fn from_state(_context: &Context, _args: &FromStateArgs) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}

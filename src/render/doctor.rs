//! What `larksub doctor` found.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Paint;
use crate::checks::{Check, Found};

/// The word that the document carries.
const FORMAT: &str = "larksub.doctor";

/// A line for each check, and beneath it what to do.
pub fn text(checks: &[Check], paint: Paint) -> String {
    let mut out = String::new();
    for Check { check, app, result, says, help } in checks {
        let word = match result {
            Found::Ok => paint.good(format_args!("{:4}", "ok")),
            Found::Warn => paint.doubt(format_args!("{:4}", "warn")),
            Found::Fail => paint.bad(format_args!("{:4}", "FAIL")),
            Found::Skip => paint.faint(format_args!("{:4}", "skip")),
        };
        let app = app.as_ref().map_or(String::new(), |app| format!("{app}: "));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{word}  {check:12}  {app}{says}");
        for sentence in help {
            let _ = writeln!(out, "                    {sentence}");
        }
    }
    let count = |result| checks.iter().filter(|check| check.result == result).count();
    let _ = writeln!(
        out,
        "{} ok, {} to look at, {} failed, {} skipped.",
        count(Found::Ok),
        count(Found::Warn),
        count(Found::Fail),
        count(Found::Skip)
    );
    out
}

/// The same as one document.
pub fn document(checks: &[Check], exit_code: u8) -> Value {
    json!({ "format": FORMAT, "version": 1, "exit_code": exit_code, "checks": checks })
}

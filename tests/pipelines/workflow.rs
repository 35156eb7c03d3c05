//! A workflow file as data, and the few expressions that the files use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A warning that also stands in the output of a test that passes.
pub fn loud(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "WARNING: {text}");
}

/// A YAML file of the project.
pub fn yaml(path: &str) -> Value {
    let path: PathBuf = root().join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What expressions can name: `github.token`, `steps.plan.outputs.digest`, …
pub type Context = BTreeMap<String, String>;

/// A text with every `${{ … }}` in it replaced. Outputs that were not written are empty; anything else has to be known.
pub fn replaced(text: &str, context: &Context) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (name, after) = after.split_once("}}").expect("an expression ends");
        out.push_str(before);
        out.push_str(&named(name.trim(), context));
        rest = after;
    }
    out + rest
}

fn named(name: &str, context: &Context) -> String {
    let is_output = name.contains(".outputs.");
    match context.get(name) {
        Some(value) => value.clone(),
        None if is_output => String::new(),
        None => panic!("the harness does not know `{name}`"),
    }
}

/// What became of the steps before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Soundness {
    Success,
    Failure,
    Cancelled,
}

/// Whether a step or a job runs. Every condition that the files use stands here, and no other is understood.
pub fn holds(condition: Option<&str>, soundness: Soundness, context: &Context) -> bool {
    let is = |name: &str, value: &str| context.get(name).is_some_and(|given| given == value);
    let success = soundness == Soundness::Success;
    let Some(condition) = condition else { return success };
    let condition = condition.trim();
    let condition = condition.strip_prefix("${{").and_then(|it| it.strip_suffix("}}")).unwrap_or(condition);
    match condition.trim() {
        "always()" => true,
        "!cancelled()" => soundness != Soundness::Cancelled,
        "always() && steps.state.outcome == 'success'" => is("steps.state.outcome", "success"),
        "failure() && steps.apply.outcome == 'failure' && steps.keep.outputs.recorded == 'false'" => {
            let sent_nothing = is("steps.keep.outputs.recorded", "false");
            soundness == Soundness::Failure && is("steps.apply.outcome", "failure") && sent_nothing
        }
        "steps.plan.outputs.has_changes == 'true'" => success && is("steps.plan.outputs.has_changes", "true"),
        "needs.plan.outputs.has_changes == 'true'" => success && is("needs.plan.outputs.has_changes", "true"),
        "!cancelled() && needs.apply.outputs.stale == 'true'" => {
            soundness != Soundness::Cancelled && is("needs.apply.outputs.stale", "true")
        }
        other => panic!("the harness does not know the condition `{other}`"),
    }
}

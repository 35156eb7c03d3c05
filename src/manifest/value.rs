//! Single values: their types, their rules, and what to write instead.

use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::place::{Place, name};
use super::{MAX_TEXT, Problem, Span, suggest};
use crate::subscription::{AppKind, ApprovalCode, BaseUrl, Malformed};

/// A key with its place.
pub(super) type Key<'i> = Spanned<DeString<'i>>;
/// A value with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// The source that is being read, and where its problems go.
pub(super) struct Context<'a> {
    /// Index of the source.
    pub source: usize,
    /// Whether some of it could not be read.
    pub is_broken: bool,
    /// Every problem so far.
    pub problems: &'a mut Vec<Problem>,
}

impl Context<'_> {
    /// A place in the source.
    pub fn span(&self, bytes: Range<usize>) -> Span {
        Span { source: self.source, bytes }
    }

    /// Reports a problem with one place.
    pub fn report(&mut self, title: String, bytes: Range<usize>, label: impl Into<String>, help: &[&str]) {
        let mut problem = Problem::error(title).at(self.span(bytes), label);
        problem.help.extend(help.iter().map(ToString::to_string));
        self.problems.push(problem);
    }
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected<'a> {
    Text,
    Texts,
    Boolean,
    Number,
    /// The section of that name.
    Section(Place<'a>),
    /// Entries of that name.
    Entries(Place<'a>),
}

/// Reports a value of the wrong type.
pub(super) fn wrong_type(cx: &mut Context, key: &str, value: &Value, expected: Expected) {
    let found = value.get_ref();
    let key = name(key);
    let (what, label) = match expected {
        Expected::Text => ("a string", "expected text in quotes".to_string()),
        Expected::Texts => ("an array of strings", "expected a list of texts".to_string()),
        Expected::Boolean => ("a boolean", "expected `true` or `false`".to_string()),
        Expected::Number => ("a whole number", "expected a whole number".to_string()),
        Expected::Section(_) => ("a table", "expected a table".to_string()),
        Expected::Entries(_) => ("an array of tables", "expected entries".to_string()),
    };
    let help = match (expected, found) {
        (Expected::Text, DeValue::Integer(number)) if number.radix() == 10 => {
            format!("write `{key} = \"{}\"`", name(number.as_str()))
        }
        (Expected::Text, _) => format!("write `{key} = \"…\"`"),
        (Expected::Texts, DeValue::String(text)) => format!("write `{key} = [\"{}\"]`", name(text)),
        (Expected::Texts, _) => format!("write `{key} = [\"…\", \"…\"]`"),
        (Expected::Boolean, DeValue::String(text)) if matches!(text.as_ref(), "true" | "false") => {
            format!("write `{key} = {text}`, without quotes")
        }
        (Expected::Boolean, _) => format!("write `{key} = true` or `{key} = false`"),
        (Expected::Number, DeValue::String(text)) if text.parse::<u32>().is_ok() => {
            format!("write `{key} = {text}`, without quotes")
        }
        (Expected::Number, DeValue::Float(_)) => "write it without a fraction".into(),
        (Expected::Number, _) => format!("write a number, such as `{key} = 50`"),
        (Expected::Section(place), DeValue::Array(_)) => format!("open it with single brackets: {place}"),
        (Expected::Section(place), _) => format!("open it as a section: {place}"),
        (Expected::Entries(place), DeValue::Table(_)) => {
            format!("open each entry with double brackets: {place}")
        }
        (Expected::Entries(place), _) => {
            format!("open each entry with {place}, and give it an `approval_code`")
        }
    };
    let title = format!("`{key}` must be {what}, not {}", found_type(found));
    cx.report(title, value.span(), label, &[&help]);
}

/// A type in a sentence.
pub(super) fn found_type(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// A string.
pub(super) fn string<'v>(cx: &mut Context, key: &Key, value: &'v Value) -> Option<&'v str> {
    let found = value.get_ref().as_str();
    if found.is_none() {
        wrong_type(cx, key.get_ref(), value, Expected::Text);
    }
    found
}

/// A boolean; `false` where it was reported.
pub(super) fn boolean(cx: &mut Context, key: &Key, value: &Value) -> bool {
    let found = value.get_ref().as_bool();
    if found.is_none() {
        wrong_type(cx, key.get_ref(), value, Expected::Boolean);
    }
    found.unwrap_or_default()
}

/// A free text for people.
pub(super) fn free_text(cx: &mut Context, key: &Key, value: &Value) -> Option<String> {
    let text = string(cx, key, value)?;
    free_text_of(cx, text, key.get_ref(), value)
}

/// The same of a text that stands at `value`.
pub(super) fn free_text_of(cx: &mut Context, text: &str, key: &str, value: &Value) -> Option<String> {
    // No text of few bytes has many characters.
    if text.len() > MAX_TEXT {
        let length = text.chars().count();
        if length > MAX_TEXT {
            cx.report(
                format!("`{}` is too long: {length} characters", name(key)),
                value.span(),
                format!("at most {MAX_TEXT} characters"),
                &["it is shown beside every change of the subscription; keep it to a line, and the story elsewhere"],
            );
            return None;
        }
    }
    Some(text.to_string())
}

/// A whole number within bounds. `why` tells where the bounds come from.
pub(super) fn number(
    cx: &mut Context,
    key: &Key,
    value: &Value,
    bounds: RangeInclusive<u64>,
    why: &str,
) -> Option<u64> {
    let DeValue::Integer(found) = value.get_ref() else {
        wrong_type(cx, key.get_ref(), value, Expected::Number);
        return None;
    };
    let digits = found.as_str();
    let number = u64::from_str_radix(digits.trim_start_matches('+'), found.radix()).ok();
    let number = number.filter(|number| bounds.contains(number));
    if number.is_none() {
        let key = name(key.get_ref());
        let (low, high) = (bounds.start(), bounds.end());
        let label = if *high == i64::MAX as u64 {
            if digits.starts_with('-') {
                "less than 0".to_string()
            } else {
                "more than a number can be".into()
            }
        } else {
            format!("not within {low} to {high}")
        };
        cx.report(format!("`{key}` is out of range"), value.span(), label, &[why]);
    }
    number
}

/// Where the text of a string stands, without its quotes where it is written plainly.
fn inner(text: &str, value: &Value) -> Range<usize> {
    let place = value.span();
    let quotes = place.len().saturating_sub(text.len());
    match quotes {
        2 | 6 => place.start + quotes / 2..place.end - quotes / 2,
        _ => place,
    }
}

/// An identifier, with the place of its text.
pub(super) fn identifier<T: FromStr<Err = Malformed>>(
    cx: &mut Context,
    key: &Key,
    value: &Value,
    help: fn(&str) -> Vec<String>,
) -> Option<(T, Range<usize>)> {
    let text = string(cx, key, value)?;
    match text.parse::<T>() {
        Ok(identifier) => Some((identifier, inner(text, value))),
        Err(malformed) => {
            let title = match text {
                "" => format!("`{}` is empty", name(key.get_ref())),
                _ => format!("`{}` is not {}", name(text), malformed.what),
            };
            let mut problem = Problem::error(title)
                .at(cx.span(value.span()), fault(text))
                .help(format!("{} is {}", malformed.what, malformed.rule));
            problem.help.extend(help(text));
            cx.problems.push(problem);
            None
        }
    }
}

/// What exactly is wrong with an identifier.
fn fault(text: &str) -> String {
    let length = text.chars().count();
    let is_usual = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match text.chars().find(|c| !is_usual(c)) {
        _ if text.is_empty() => String::new(),
        _ if length > 64 => format!("{length} characters"),
        Some(' ') if text.ends_with(' ') => "ends in a space".into(),
        Some(' ') => "has a space".into(),
        Some(other) => format!("has `{}`", name(&other.to_string())),
        None if text.contains('_') => "has `_`".into(),
        None => String::new(),
    }
}

/// Where approval codes come from, and what was probably meant.
pub(super) fn help_for_code(text: &str) -> Vec<String> {
    let meant = text
        .split(['/', '?', '&', '=', '#', ' ', '"', '{', '}', '\n', '\t'])
        .filter(|part| part.len() == 36 && part.parse::<ApprovalCode>().is_ok())
        .find(|part| part.bytes().filter(|byte| *byte == b'-').count() == 4)
        .map(|code| format!("the code in it seems to be `{code}`"));
    let source = "an approval's code is in the answer of \"create definition\", and in the URL of its definition \
                  in the approval admin console opened with developer mode on";
    meant.into_iter().chain([source.to_string()]).collect()
}

/// Where tenant keys come from.
pub(super) fn help_for_tenant(_: &str) -> Vec<String> {
    vec!["a tenant's key comes with the events that the app receives from it".into()]
}

/// Where app ids come from.
pub(super) fn help_for_app_id(_: &str) -> Vec<String> {
    vec!["an app's id is on its page in the developer console, under credentials".into()]
}

/// `feishu` or `lark`, as the place they stand for.
pub(super) fn brand(cx: &mut Context, key: &Key, value: &Value) -> Option<(BaseUrl, Range<usize>)> {
    let text = string(cx, key, value)?;
    let url = match text {
        "feishu" => "https://open.feishu.cn",
        "lark" => "https://open.larksuite.com",
        _ => {
            let label = match suggest::nearest(text, ["feishu", "lark"]) {
                Some(word) => format!("did you mean `{word}`?"),
                None if text.eq_ignore_ascii_case("larksuite") => "did you mean `lark`?".into(),
                None => "expected `feishu` or `lark`".into(),
            };
            let help = if text.contains("://") {
                "write a URL as `base_url = \"…\"` instead of `brand`"
            } else {
                "`feishu` stands for open.feishu.cn, `lark` for open.larksuite.com; for any other place give `base_url`"
            };
            cx.report(format!("`{}` is not a brand", name(text)), value.span(), label, &[help]);
            return None;
        }
    };
    Some((url.parse().ok()?, value.span()))
}

/// `custom` or `store`.
pub(super) fn kind(cx: &mut Context, key: &Key, value: &Value) -> Option<(AppKind, Range<usize>)> {
    let text = string(cx, key, value)?;
    let kind = match text {
        "custom" => AppKind::Custom,
        "store" => AppKind::Store,
        _ => {
            let meant = match text.to_lowercase().as_str() {
                "isv" | "marketplace" => Some("store"),
                "self-built" | "self_built" | "selfbuilt" | "internal" => Some("custom"),
                other => suggest::nearest(other, ["custom", "store"]),
            };
            let label = match meant {
                Some(word) => format!("did you mean `{word}`?"),
                None => "expected `custom` or `store`".into(),
            };
            let help = "`custom` is a self-built app with one tenant, `store` one from the app store (ISV) with many";
            cx.report(format!("`{}` is not a kind of app", name(text)), value.span(), label, &[help]);
            return None;
        }
    };
    Some((kind, value.span()))
}

/// A base URL. One that carries a password is never shown.
pub(super) fn base_url(cx: &mut Context, key: &Key, value: &Value) -> Option<(BaseUrl, Range<usize>)> {
    let text = string(cx, key, value)?;
    if text.contains('@') {
        let problem = Problem::error("a base URL holds no user name and no password")
            .at(cx.span(key.span()), "they stand in its value")
            .help("write scheme, host and port only, such as `https://open.feishu.cn`")
            .help("if it was a password, it has been in a file that is shared: change it")
            .redact(cx.span(value.span()));
        cx.problems.push(problem);
        return None;
    }
    match text.parse::<BaseUrl>() {
        Ok(url) => Some((url, inner(text, value))),
        Err(malformed) => {
            let is_plain = malformed.rule.starts_with("plain http");
            let (label, rule) = if is_plain {
                ("plain http", malformed.rule.to_string())
            } else {
                ("not a base URL", format!("a base URL is {}", malformed.rule))
            };
            let title = match text {
                "" => "`base_url` is empty".to_string(),
                _ => format!("`{}` cannot be the base URL of an app", name(text)),
            };
            let problem = Problem::error(title).at(cx.span(value.span()), label).help(rule);
            cx.problems.push(match nearest_url(text) {
                Some(url) => problem.help(format!("write `base_url = \"{url}\"`")),
                None => problem,
            });
            None
        }
    }
}

/// The base URL that a text contains more or less.
fn nearest_url(text: &str) -> Option<BaseUrl> {
    let text = text.trim();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().filter(|host| host.contains('.') && host.len() <= 253)?;
    format!("https://{host}").parse().ok()
}

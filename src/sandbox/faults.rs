//! What goes wrong on purpose.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use crate::subscription::ApprovalCode;
use crate::text::Shown;

/// A kind of misbehaviour. The first ones answer instead of doing what was asked; the last ones do it and
/// spoil the answer, so that only the next call tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// 1390002: the approval code is unknown.
    NotFound,
    /// 1390007: it is so already.
    Already,
    /// 1390001: a parameter is wrong.
    Param,
    /// 1395001: the service failed.
    ServiceError,
    /// HTTP 429 with 99991400; calls are let through again after a second.
    RateLimit,
    /// The same as older APIs say it: HTTP 400.
    RateLimitOld,
    /// 99991403: the month's calls are spent.
    Monthly,
    /// 99991663: the token is not valid.
    Token,
    /// 99991672: the app lacks the scope.
    Scope,
    /// 99991401: the caller's address is not allowed.
    Ip,
    /// 99991662: the app is disabled.
    Disabled,
    /// 99991673: the app is not installed in the tenant.
    Uninstalled,
    /// HTTP 503 and no JSON.
    ServerError,
    /// HTTP 200 and a page of HTML, as a proxy in between gives.
    Html,
    /// HTTP 302 to another host.
    Redirect,
    /// The definition is read as a deleted one; nothing else goes wrong.
    Deleted,
    /// The connection is reset.
    Reset,
    /// Done; the answer has no body.
    Empty,
    /// Done; the answer's `code` is a string.
    StringCode,
    /// Done; the answer is several MiB long.
    Huge,
    /// Done; the answer comes later than a client waits.
    Slow,
    /// Done; the connection ends in the middle of the answer.
    Cut,
    /// Done; the connection is reset before the answer.
    Lost,
}

const WORDS: [(&str, What); 23] = [
    ("not_found", What::NotFound),
    ("already", What::Already),
    ("param", What::Param),
    ("service_error", What::ServiceError),
    ("rate_limit", What::RateLimit),
    ("rate_limit_400", What::RateLimitOld),
    ("monthly", What::Monthly),
    ("token", What::Token),
    ("scope", What::Scope),
    ("ip", What::Ip),
    ("disabled", What::Disabled),
    ("uninstalled", What::Uninstalled),
    ("5xx", What::ServerError),
    ("html", What::Html),
    ("redirect", What::Redirect),
    ("deleted", What::Deleted),
    ("reset", What::Reset),
    ("empty", What::Empty),
    ("string_code", What::StringCode),
    ("huge", What::Huge),
    ("slow", What::Slow),
    ("cut", What::Cut),
    ("lost", What::Lost),
];

impl What {
    /// Every kind, with the word for it.
    pub fn all() -> impl Iterator<Item = (&'static str, Self)> {
        WORDS.into_iter()
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.iter().find(|(_, what)| what == self).map_or("?", |(word, _)| word);
        f.pad(word)
    }
}

/// `CODE=WHAT[:N]`: the next N calls that name CODE misbehave so; without N, every one. `*` is any code that
/// has no fault of its own left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The approval code; `None` is `*`.
    pub approval_code: Option<ApprovalCode>,
    /// What goes wrong.
    pub what: What,
    /// How many times; `None` is always.
    pub times: Option<u32>,
}

/// A text that is not a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultMalformed {
    /// There is no `=`.
    #[error("`{}` is not a fault: expected `CODE=WHAT` or `CODE=WHAT:N`", Shown(.0))]
    Form(String),
    /// What stands before it is not an approval code.
    #[error("`{}` is not an approval code: {}, or `*` for any", Shown(.0), ApprovalCode::RULE)]
    Code(String),
    /// What follows it is not a known word.
    #[error("`{}` is not something that can go wrong: expected one of {}", Shown(.0), words())]
    What(String),
    /// The number is none.
    #[error("`{}` is not how many calls go wrong: expected a number of at least 1", Shown(.0))]
    Times(String),
}

fn words() -> String {
    WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}

impl FromStr for Fault {
    type Err = FaultMalformed;

    fn from_str(text: &str) -> Result<Self, FaultMalformed> {
        let (code, rest) = text.split_once('=').ok_or_else(|| FaultMalformed::Form(text.into()))?;
        let (word, times) = match rest.split_once(':') {
            Some((word, times)) => (word, Some(times)),
            None => (rest, None),
        };
        let approval_code = match code {
            "*" => None,
            code => Some(code.parse().map_err(|_| FaultMalformed::Code(code.into()))?),
        };
        let what = WORDS.iter().find(|(known, _)| *known == word).map(|(_, what)| *what);
        let what = what.ok_or_else(|| FaultMalformed::What(word.into()))?;
        let times = match times {
            None => None,
            Some(text) => match text.parse::<u32>() {
                Ok(times) if times > 0 => Some(times),
                _ => return Err(FaultMalformed::Times(text.into())),
            },
        };
        Ok(Self { approval_code, what, times })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.approval_code.as_ref().map_or("*", ApprovalCode::as_str);
        write!(f, "{code}={}", self.what)?;
        self.times.map_or(Ok(()), |times| write!(f, ":{times}"))
    }
}

/// The faults that are still to come.
#[derive(Debug)]
pub(super) struct Faults(HashMap<Option<ApprovalCode>, VecDeque<Fault>>);

impl Faults {
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        let mut queues: HashMap<Option<ApprovalCode>, VecDeque<Fault>> = HashMap::new();
        for fault in faults {
            queues.entry(fault.approval_code.clone()).or_default().push_back(fault);
        }
        Self(queues)
    }

    /// What goes wrong with this call, used up by it.
    pub(super) fn take(&mut self, code: &ApprovalCode) -> Option<What> {
        let own = self.0.get_mut(&Some(code.clone())).and_then(take_first);
        own.or_else(|| self.0.get_mut(&None).and_then(take_first))
    }
}

fn take_first(queue: &mut VecDeque<Fault>) -> Option<What> {
    let fault = queue.front_mut()?;
    let what = fault.what;
    if let Some(left) = &mut fault.times {
        *left = left.saturating_sub(1);
        if *left == 0 {
            queue.pop_front();
        }
    }
    Some(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_back_as_it_is_shown() {
        for (word, what) in What::all() {
            let text = format!("A-1={word}:3");
            let fault: Fault = text.parse().unwrap();
            assert_eq!((fault.what, fault.times, fault.to_string()), (what, Some(3), text));
        }
        assert_eq!("*=slow".parse::<Fault>().unwrap().to_string(), "*=slow");
    }

    #[test]
    fn a_malformed_fault_says_what_was_expected() {
        for (text, expected) in [
            ("slow", "expected `CODE=WHAT`"),
            ("A_1=slow", "not an approval code"),
            ("=slow", "not an approval code"),
            ("A=sloww", "one of not_found, already, "),
            ("A=", "one of not_found"),
            ("A=slow:", "at least 1"),
            ("A=slow:0", "at least 1"),
            ("A=slow:1:2", "at least 1"),
            ("A=slow:\u{1b}", "`\\u{1b}`"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn faults_of_one_code_come_in_order_and_then_those_of_any() {
        let faults = ["A=reset:2", "*=html:1", "A=5xx:1", "B=lost"].map(|text| text.parse().unwrap());
        let mut faults = Faults::new(faults.to_vec());
        let (a, b) = ("A".parse().unwrap(), "B".parse().unwrap());
        let taken: Vec<_> = (0..5).map(|_| faults.take(&a)).collect();
        let expected = [What::Reset, What::Reset, What::ServerError, What::Html].map(Some);
        assert_eq!((&taken[..4], taken[4]), (&expected[..], None));
        assert!((0..9).all(|_| faults.take(&b) == Some(What::Lost)));
    }
}

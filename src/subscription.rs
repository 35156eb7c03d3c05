//! What a subscription is called: the validated identifiers that every other module speaks in.
//!
//! A value of one of these types has passed its rule, wherever it came from (manifest, state, saved plan or
//! command line), so nothing downstream checks again.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

use crate::text::Shown;

/// A text that breaks the rule of the identifier it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not {what}: {rule}", Shown(text))]
pub struct Malformed {
    /// The identifier that was expected, with its article: `an approval code`.
    pub what: &'static str,
    /// The text as it was given, not escaped.
    pub text: String,
    /// The rule that it breaks, as the end of a sentence.
    pub rule: &'static str,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// What one is called in a sentence, with its article.
            pub const WHAT: &'static str = $what;
            /// The rule it obeys, as the end of a sentence.
            pub const RULE: &'static str = $rule;
            /// The same rule as a regular expression, for a JSON schema; `not ending in` is not in it.
            pub const PATTERN: &'static str = $pattern;

            /// The text of it, safe to print anywhere.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(Malformed { what: Self::WHAT, text: text.into(), rule: Self::RULE })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Parsed(PhantomData))
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": Self::PATTERN })
            }
        }
    };
}

/// Reads a string straight into an identifier: a ledger holds millions of them.
struct Parsed<T>(PhantomData<T>);

impl<T: FromStr<Err = Malformed>> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

identifier!(
    /// The identity of an approval definition; case is kept, and two codes that differ only in case are
    /// treated as a mistake wherever they meet. The platform's type is only "string"; every public example
    /// is an upper-case UUID.
    ApprovalCode,
    "an approval code",
    "1 to 64 letters, digits and hyphens",
    "^[A-Za-z0-9-]{1,64}$",
    |text| is_run_of(text, |byte| byte.is_ascii_alphanumeric() || byte == b'-')
);

identifier!(
    /// The tenant a store app is installed in.
    TenantKey,
    "a tenant key",
    "1 to 64 letters, digits, hyphens and underscores",
    "^[A-Za-z0-9_-]{1,64}$",
    |text| is_run_of(text, |byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
);

identifier!(
    /// The platform's id of an app, `cli_…`.
    AppId,
    "an app id",
    "1 to 64 letters, digits, hyphens and underscores, such as `cli_9dbb2dd6f5e0d104`",
    "^[A-Za-z0-9_-]{1,64}$",
    |text| is_run_of(text, |byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
);

identifier!(
    /// The name people give an app in the manifest. It is never its identity: see [`AppIdentity`].
    AppLabel,
    "an app label",
    "1 to 64 lower-case letters, digits and hyphens, beginning with a letter and not ending in `file`",
    "^[a-z][a-z0-9-]{0,63}$",
    |text| {
        // A label ending in `file` would make LARKSUB_APP_SECRET_X_FILE mean two things.
        is_run_of(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && !text.ends_with("file")
    }
);

impl ApprovalCode {
    /// The form in which codes that differ only in letter case are equal.
    pub fn case_folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// A code for comparing where letter case does not count. It borrows, so that a hundred thousand of them cost no
/// allocation each.
#[derive(Debug, Clone, Copy)]
pub struct AnyCase<'a>(pub &'a ApprovalCode);

impl PartialEq for AnyCase<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str().eq_ignore_ascii_case(other.0.as_str())
    }
}

impl Eq for AnyCase<'_> {}

impl Hash for AnyCase<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // In one piece: hashing byte by byte costs several times as much. A code has 64 bytes at most.
        let mut folded = [0_u8; 64];
        if let Some(folded) = folded.get_mut(..self.0.as_str().len()) {
            folded.copy_from_slice(self.0.as_str().as_bytes());
            folded.make_ascii_lowercase();
            folded.hash(state);
        }
    }
}

fn is_run_of(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    // Without stopping at the first wrong byte, many are looked at in one step.
    (1..=64).contains(&text.len()) && text.bytes().fold(true, |is_right, byte| is_right & allowed(byte))
}

/// Where an app's platform answers: scheme, host and port, normalised (lower case, no default port, no
/// trailing slash), so that equal strings are equal places. Plain http is accepted for loopback only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BaseUrl(Box<str>);

impl BaseUrl {
    /// The normalised URL, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What every normalised one matches, and what to write in a manifest: a regular expression, for a JSON schema.
    /// A trailing slash is left out of what is normalised.
    pub const PATTERN: &'static str =
        r"^(https://[^/?#@\\\s]+|http://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?)/?$";

    /// The word for it in a manifest, where it is the platform's own.
    pub fn brand(&self) -> Option<&'static str> {
        match self.as_str() {
            "https://open.feishu.cn" => Some("feishu"),
            "https://open.larksuite.com" => Some("lark"),
            _ => None,
        }
    }

    /// Whether calls to it need TLS; otherwise it is plain http on loopback.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl FromStr for BaseUrl {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = |rule| Malformed { what: "a base URL", text: text.into(), rule };
        let whole = "scheme, host and port only, such as `https://open.feishu.cn`";
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(malformed(whole));
        }
        let url = url::Url::parse(text).map_err(|_| malformed(whole))?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        let host = match url.host() {
            Some(host) if bare && !text.contains('@') => host,
            _ => return Err(malformed(whole)),
        };
        let is_loopback = match &host {
            url::Host::Domain(domain) => *domain == "localhost",
            url::Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
            url::Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
        };
        match url.scheme() {
            "https" => {}
            "http" if is_loopback => {}
            "http" => {
                return Err(malformed(
                    "plain http would send the app's secret in the clear; only loopback may use it",
                ));
            }
            _ => return Err(malformed(whole)),
        }
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self(format!("{}://{host}{port}", url.scheme()).into()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for BaseUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "BaseUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": Self::PATTERN })
    }
}

/// Who an app is, whatever it is labelled: two places with the same identity are the same app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppIdentity {
    /// The platform's id of it.
    pub app_id: AppId,
    /// Where its platform answers.
    pub base_url: BaseUrl,
}

impl fmt::Display for AppIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.app_id, self.base_url)
    }
}

/// How an app is distributed, which decides how its tokens are obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AppKind {
    /// Self-built: one tenant, its own.
    Custom,
    /// From the app store (ISV): one token per tenant that installed it.
    Store,
}

impl AppKind {
    /// The word the manifest and the ledger use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Custom => "custom",
            Self::Store => "store",
        }
    }
}

/// How a person names one subscription: `label/CODE`, or `label/tenant/CODE` in a store app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionKey {
    /// The app's label.
    pub app: AppLabel,
    /// The tenant, in a store app.
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    pub approval_code: ApprovalCode,
}

impl FromStr for SubscriptionKey {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [app, code] => Ok(Self { app: app.parse()?, tenant_key: None, approval_code: code.parse()? }),
            [app, tenant, code] => Ok(Self {
                app: app.parse()?,
                tenant_key: Some(tenant.parse()?),
                approval_code: code.parse()?,
            }),
            _ => Err(Malformed {
                what: "a subscription's key",
                text: text.into(),
                rule: "`label/CODE`, or `label/tenant/CODE` in a store app",
            }),
        }
    }
}

impl fmt::Display for SubscriptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.app)?;
        if let Some(tenant) = &self.tenant_key {
            write!(f, "{tenant}/")?;
        }
        write!(f, "{}", self.approval_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_places_have_equal_base_urls() {
        for (given, normal) in [
            ("https://Open.Feishu.CN", "https://open.feishu.cn"),
            ("https://open.feishu.cn:443/", "https://open.feishu.cn"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://LOCALHOST:80", "http://localhost"),
            ("http://[::1]:9/", "http://[::1]:9"),
        ] {
            assert_eq!(given.parse::<BaseUrl>().unwrap().as_str(), normal, "{given}");
        }
    }

    #[test]
    fn a_base_url_is_refused_when_it_holds_more_than_a_place_or_leaks_the_secret() {
        for text in [
            "",
            "open.feishu.cn",
            "ftp://open.feishu.cn",
            "http://open.feishu.cn",
            "http://10.0.0.1",
            "https://user@open.feishu.cn",
            "https://@open.feishu.cn",
            "https://open.feishu.cn/path",
            "https://open.feishu.cn?x=1",
            "https://open.feishu.cn#x",
            "https://open.feishu.cn\n",
            "https://",
        ] {
            assert!(text.parse::<BaseUrl>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn identifiers_refuse_what_could_mean_two_things() {
        assert!("7C468A54-8745-2245-9675-08B7C63E7A85".parse::<ApprovalCode>().is_ok());
        for code in ["", "a_b", "a/b", "ä", "a b", &"x".repeat(65)] {
            assert!(code.parse::<ApprovalCode>().is_err(), "{code:?}");
        }
        for label in ["", "Hr", "1hr", "hr_x", "file", "hr-file", "-hr"] {
            assert!(label.parse::<AppLabel>().is_err(), "{label:?}");
        }
        assert!("hr-files".parse::<AppLabel>().is_ok());
    }

    #[test]
    fn a_key_reads_back_as_it_is_shown() {
        for text in ["hr/ABC-1", "isv/tenant_1/ABC-1"] {
            assert_eq!(text.parse::<SubscriptionKey>().unwrap().to_string(), text);
        }
        for text in ["hr", "hr/", "/A", "hr/t/A/x", "hr//A", ""] {
            assert!(text.parse::<SubscriptionKey>().is_err(), "{text:?}");
        }
    }
}

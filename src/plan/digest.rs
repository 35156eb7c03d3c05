//! The digest: SHA-256 of what a plan will do, and of nothing else.
//!
//! Planning again from unchanged facts gives the same one. It covers the ledger's lineage, the identity of every
//! app with something to do, and every call and forget with its subscription's generation. Labels, names, owners,
//! reasons, allowances, times and the ledger's length do not enter.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::subscription::{AppIdentity, ApprovalCode, TenantKey};

/// What every digest matches, as a regular expression.
pub const PATTERN: &str = "^sha256:[0-9a-f]{64}$";

/// One thing that a plan does. Sorting targets gives the order in which they are digested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target<'a> {
    /// The app.
    pub app: &'a AppIdentity,
    /// The tenant, in a store app.
    pub tenant_key: Option<&'a TenantKey>,
    /// The approval code.
    pub approval_code: &'a ApprovalCode,
    /// How many times the subscription was tracked.
    pub generation: u64,
    /// What is done.
    pub action: Action,
}

/// What is done to a subscription; a first try, a retry and the settling of an unknown are all a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// An unsubscribe call.
    Call,
    /// Leaving the state without a call.
    Forget,
}

/// The digest of a plan that does exactly this, as `sha256:` and 64 hexadecimal digits.
pub fn digest(lineage: Uuid, mut targets: Vec<Target<'_>>) -> String {
    targets.sort_unstable();
    let mut hash = Sha256::new();
    field(&mut hash, b"larksub.plan/1");
    field(&mut hash, lineage.as_bytes());
    let mut app = None;
    for target in targets {
        if app != Some(target.app) {
            app = Some(target.app);
            field(&mut hash, b"app");
            field(&mut hash, target.app.app_id.as_str().as_bytes());
            field(&mut hash, target.app.base_url.as_str().as_bytes());
        }
        field(
            &mut hash,
            match target.action {
                Action::Call => b"call",
                Action::Forget => b"forget",
            },
        );
        field(&mut hash, target.tenant_key.map_or("", TenantKey::as_str).as_bytes());
        field(&mut hash, target.approval_code.as_str().as_bytes());
        field(&mut hash, &target.generation.to_be_bytes());
    }
    hex(&hash.finalize())
}

/// `sha256:` and the digits of a finished hash.
pub fn hex(hash: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in hash {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Whether a text has the form of a digest.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn field(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

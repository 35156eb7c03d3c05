//! The body of a lock in Terraform's HTTP protocol: seven fields, as that program writes and shows them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::trouble::Holder;

/// Who holds a lock, as the protocol says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LockInfo {
    /// What unlocking asks for.
    #[serde(rename = "ID")]
    pub id: String,
    /// What it is held for.
    pub operation: String,
    /// More about that.
    pub info: String,
    /// Who holds it.
    pub who: String,
    /// The program's version.
    pub version: String,
    /// Since when.
    pub created: String,
    /// Of what; empty over HTTP.
    pub path: String,
}

impl LockInfo {
    /// The lock of this holder.
    pub fn of(holder: &Holder) -> Self {
        let Holder { id, who, operation, since, heartbeat: _ } = holder;
        Self {
            id: id.clone(),
            operation: operation.clone(),
            info: String::new(),
            who: who.clone(),
            version: concat!("larksub ", env!("CARGO_PKG_VERSION")).into(),
            created: since.map(|since| since.to_string()).unwrap_or_default(),
            path: String::new(),
        }
    }

    /// The same, as messages tell it.
    pub fn holder(&self) -> Holder {
        Holder {
            id: self.id.clone(),
            who: self.who.clone(),
            operation: self.operation.clone(),
            since: self.created.parse::<Timestamp>().ok(),
            heartbeat: None,
        }
    }
}

/// The holder that the body of a 409 or 423 names; an unnamed one where it is something else.
pub(super) fn holder(body: &[u8]) -> Holder {
    serde_json::from_slice::<LockInfo>(body).unwrap_or_default().holder()
}

//! The ledger as an outsider reads it: lines, checksums, records.

use serde_json::Value;

/// One record and the line it stands on.
#[derive(Debug, Clone)]
pub struct Entry {
    pub seq: u64,
    pub record: Value,
}

/// A ledger all of whose lines are sound.
#[derive(Debug)]
pub struct Ledger(pub Vec<Entry>);

impl Ledger {
    /// Reads the text of a ledger and checks what every ledger must keep.
    pub fn read(text: &str) -> Self {
        let mut entries = Vec::new();
        assert!(text.ends_with('\n'), "the last line is whole:\n{text}");
        for (number, line) in (1..).zip(text.lines()) {
            let (body, crc) = line.rsplit_once(r#","crc":""#).unwrap_or_else(|| panic!("no crc: {line}"));
            let expected = format!("{:08x}", crc32c::crc32c(body.as_bytes()));
            assert_eq!(crc, format!("{expected}\"}}"), "line {number}: {line}");
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["seq"], number, "seq is consecutive from 1");
            for record in line["records"].as_array().unwrap() {
                entries.push(Entry { seq: number, record: record.clone() });
            }
        }
        let ledger = Self(entries);
        ledger.check_order();
        ledger
    }

    /// Every outcome stands on a later line than its intent: the intent was synced before the call was sent.
    fn check_order(&self) {
        for outcome in self.of("outcome") {
            let same = |entry: &&&Entry| {
                ["run", "app", "tenant_key", "approval_code"]
                    .iter()
                    .all(|key| entry.record[key] == outcome.record[key])
            };
            let intents = self.of("intent");
            let intent = intents.iter().find(same).unwrap_or_else(|| panic!("no intent of {outcome:?}"));
            assert!(intent.seq < outcome.seq, "{intent:?} {outcome:?}");
        }
        for entry in &self.0 {
            assert!(entry.record["at"].as_str().unwrap().ends_with('Z'), "{entry:?}");
        }
    }

    /// The records of one operation.
    pub fn of(&self, op: &str) -> Vec<&Entry> {
        self.0.iter().filter(|entry| entry.record["op"] == op).collect()
    }

    /// The operations in order, each with its subject and what it says of it.
    pub fn ops(&self) -> Vec<String> {
        self.0.iter().map(|entry| op(&entry.record)).collect()
    }

    /// The records of one operation that speak of one code.
    pub fn about(&self, op: &str, code: &str) -> Vec<&Value> {
        let entries = self.of(op).into_iter();
        entries.map(|entry| &entry.record).filter(|record| record["approval_code"] == code).collect()
    }

    /// The kinds of the outcomes of one code.
    pub fn kinds(&self, code: &str) -> Vec<&str> {
        self.about("outcome", code).iter().map(|record| record["kind"].as_str().unwrap()).collect()
    }

    /// The newest outcome of one code.
    pub fn outcome(&self, code: &str) -> &Value {
        self.about("outcome", code).last().unwrap_or_else(|| panic!("no outcome of {code}: {:?}", self.ops()))
    }
}

fn op(record: &Value) -> String {
    let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
    let mut parts = vec![text("op")];
    let subject = [text("app"), text("tenant_key"), text("approval_code")];
    let subject: Vec<String> = subject.into_iter().filter(|part| !part.is_empty()).collect();
    parts.push(subject.join("/"));
    parts.push(text("kind"));
    parts.push(text("how"));
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

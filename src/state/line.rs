//! The lines of the ledger. Pure: bytes in, records out, and back.
//!
//! A line is one synced batch: `{"seq":8,"records":[…],"crc":"1a2b3c4d"}`. The checksum is over the line's own
//! bytes before `,"crc"`, so that reading needs no canonical form.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};

use super::record::{Bind, End, Forget, Init, Intent, Outcome, Record, Run, Snapshot, Str, Track, Update};
use crate::json;

/// One line of the ledger.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    /// Consecutive from the ledger's first line on.
    pub seq: u64,
    /// What happened, in order.
    pub records: Vec<Record<'a>>,
    /// Whether the batch goes on in the next line.
    pub more: bool,
}

/// A line as the ledger stores it, line break included.
///
/// # Errors
/// Never for the records of this module; serde_json's signature.
pub fn write_line(seq: u64, records: &[Record<'_>], more: bool) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Body<'a> {
        seq: u64,
        records: &'a [Record<'a>],
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        more: bool,
    }
    let mut text = json::line(&Body { seq, records, more })?;
    text.pop();
    let crc = crc32c::crc32c(text.as_bytes());
    text.push_str(&format!(",\"crc\":\"{crc:08x}\"}}\n"));
    Ok(text)
}

/// One batch as lines of a record each, line breaks included.
///
/// # Errors
/// Never for the records of this module; serde_json's signature.
pub fn write_lines(first_seq: u64, records: &[Record<'_>]) -> serde_json::Result<String> {
    let mut text = String::new();
    for (position, record) in (0..).zip(records) {
        let more = position + 1 < records.len() as u64;
        text.push_str(&write_line(first_seq.saturating_add(position), std::slice::from_ref(record), more)?);
    }
    Ok(text)
}

/// The checksum that a line (without its line break) carries, where it carries one and it is right.
pub fn sound_crc(line: &[u8]) -> Option<u32> {
    let body_len = line.len().checked_sub(CRC_SUFFIX_LEN)?;
    let (body, suffix) = line.split_at_checked(body_len)?;
    let digits = suffix.strip_prefix(b",\"crc\":\"")?.strip_suffix(b"\"}")?;
    if !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let crc = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (crc32c::crc32c(body) == crc).then_some(crc)
}

const CRC_SUFFIX_LEN: usize = r#","crc":"1a2b3c4d"}"#.len();

/// Reads a line whose checksum is right.
///
/// # Errors
/// The line is no JSON object of this version's form: an unknown key or operation is one, too.
pub fn read_line(line: &[u8]) -> serde_json::Result<Line<'_>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body<'a> {
        seq: u64,
        #[serde(borrow)]
        records: Few<Record<'a>>,
        #[serde(default)]
        more: bool,
        #[serde(rename = "crc")]
        _crc: IgnoredAny,
    }
    // Looked at as UTF-8 once, and not again for each of its strings.
    let body = match str::from_utf8(line) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(line),
    };
    let Body { seq, records, more, .. } = body?;
    Ok(Line { seq, records: records.0, more })
}

/// A list that mostly holds one: room for more, made and given back for each line, would cost more than reading it.
struct Few<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(OfFew(PhantomData))
    }
}

struct OfFew<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OfFew<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Few<T>, A::Error> {
        let mut few = Vec::with_capacity(1);
        while let Some(one) = seq.next_element()? {
            few.push(one);
        }
        Ok(Few(few))
    }
}

/// Reads a line that a newer version wrote: unknown keys are passed over, and a record of an unknown operation
/// is [`Record::Unknown`].
///
/// # Errors
/// The line is no JSON object that has the known keys in the known form.
pub fn read_newer_line(line: &[u8]) -> serde_json::Result<Line<'_>> {
    #[derive(Deserialize)]
    struct Body<'a> {
        seq: u64,
        #[serde(borrow)]
        records: Vec<Newer<'a>>,
        #[serde(default)]
        more: bool,
    }
    let Body { seq, records, more } = serde_json::from_slice(line)?;
    Ok(Line { seq, records: records.into_iter().map(|Newer(record)| record).collect(), more })
}

impl<'de: 'a, 'a> Deserialize<'de> for Record<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ByOp { newer: false })
    }
}

struct Newer<'a>(Record<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Newer<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ByOp { newer: true }).map(Newer)
    }
}

/// Reads `op` first and the rest straight into the record's own type: a derived tag would buffer every record.
struct ByOp {
    newer: bool,
}

impl<'de> Visitor<'de> for ByOp {
    type Value = Record<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record that begins with `op`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record<'de>, A::Error> {
        let Some((key, op)) = map.next_entry::<Str<'de>, Str<'de>>()? else {
            return Err(A::Error::custom("a record without `op`"));
        };
        if key.as_str() != "op" {
            return Err(A::Error::custom("a record that does not begin with `op`"));
        }
        if self.newer {
            by_op(&op, KnownKeys(map))?.map_or_else(|rest| skip(op, rest.0), Ok)
        } else {
            let unknown = || A::Error::custom(format_args!("the unknown operation `{}`", op.as_str()));
            by_op(&op, MapAccessDeserializer::new(map))?.map_err(|_| unknown())
        }
    }
}

fn skip<'de, A: MapAccess<'de>>(op: Str<'de>, mut rest: A) -> Result<Record<'de>, A::Error> {
    while rest.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(Record::Unknown(op.into_string()))
}

/// The record of an operation, or the rest unread where the operation is unknown.
fn by_op<'de, D: Deserializer<'de>>(op: &Str<'_>, rest: D) -> Result<Result<Record<'de>, D>, D::Error> {
    Ok(Ok(match op.as_str() {
        "init" => Record::Init(Init::deserialize(rest)?),
        "bind" => Record::Bind(Bind::deserialize(rest)?),
        "track" => Record::Track(Track::deserialize(rest)?),
        "update" => Record::Update(Update::deserialize(rest)?),
        "forget" => Record::Forget(Forget::deserialize(rest)?),
        "run" => Record::Run(Run::deserialize(rest)?),
        "intent" => Record::Intent(Intent::deserialize(rest)?),
        "outcome" => Record::Outcome(Outcome::deserialize(rest)?),
        "end" => Record::End(End::deserialize(rest)?),
        "snapshot" => Record::Snapshot(Box::new(Snapshot::deserialize(rest)?)),
        _ => return Ok(Err(rest)),
    }))
}

/// A record's remaining keys, of which a struct is shown only those that it knows.
struct KnownKeys<A>(A);

impl<'de, A: MapAccess<'de>> Deserializer<'de> for KnownKeys<A> {
    type Error = A::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(Filtered { map: self.0, fields })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Filtered<A> {
    map: A,
    fields: &'static [&'static str],
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Filtered<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(Str(key)) = self.map.next_key::<Str<'de>>()? {
            if !self.fields.contains(&key.as_ref()) {
                self.map.next_value::<IgnoredAny>()?;
                continue;
            }
            return match key {
                std::borrow::Cow::Borrowed(key) => {
                    seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
                }
                std::borrow::Cow::Owned(key) => seed.deserialize(StringDeserializer::new(key)).map(Some),
            };
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTENT: &str = r#"{"op":"intent","at":"2026-01-02T03:04:05Z","run":"6f2f7f0e-0000-4000-8000-000000000001","app":"hr","approval_code":"A-1""#;

    fn line(records: &str) -> Vec<u8> {
        let body = format!(r#"{{"seq":3,"records":[{records}]"#);
        format!("{body},\"crc\":\"{:08x}\"}}", crc32c::crc32c(body.as_bytes())).into_bytes()
    }

    #[test]
    fn a_written_line_reads_back_and_any_flipped_byte_breaks_its_checksum() {
        let given = line(&format!("{INTENT}}}"));
        let read = read_line(&given).unwrap();
        assert_eq!(write_line(3, &read.records, false).unwrap().trim_end().as_bytes(), given);
        for position in 0..given.len() {
            let mut flipped = given.clone();
            flipped[position] ^= 1;
            assert_eq!(sound_crc(&flipped), None, "byte {position}");
        }
    }

    #[test]
    fn an_unknown_operation_or_key_is_refused_here_and_passed_over_from_a_newer_version() {
        let text = line(&format!(r#"{INTENT},"new":[1]}},{{"op":"merge","x":{{}}}}"#));
        assert!(read_line(&text).is_err());
        let records = read_newer_line(&text).unwrap().records;
        assert!(
            matches!(&records[..], [Record::Intent(_), Record::Unknown(op)] if op == "merge"),
            "{records:?}"
        );
        assert!(read_line(&line(r#"{"at":"2026-01-02T03:04:05Z","op":"end"}"#)).is_err());
        assert!(read_line(&line(r#"{"op":"merge"}"#)).is_err());
        assert!(read_line(&line("7")).is_err());
    }
}

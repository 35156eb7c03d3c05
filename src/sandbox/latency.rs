//! How long a call is under way.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::sleep;

use super::random::Random;
use crate::text::Shown;

/// A range of durations, each as likely as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    least: Duration,
    most: Duration,
}

/// A text that is not a latency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a latency: expected `20ms`, `1s` or a range such as `20ms..200ms`, up to 600s", Shown(.0))]
pub struct LatencyMalformed(String);

impl Latency {
    /// An answer at once.
    pub const NONE: Self = Self { least: Duration::ZERO, most: Duration::ZERO };

    /// From `least` to `most`; the other way round is the same range.
    pub fn between(least: Duration, most: Duration) -> Self {
        Self { least: least.min(most), most: most.max(least) }
    }

    /// One latency, split at random into the way there and the way back: what a server sees at one moment may
    /// have been sent at quite different ones.
    pub(super) fn draw(self, random: &mut Random) -> (Duration, Duration) {
        let spread = random.up_to(nanos(self.most.saturating_sub(self.least)));
        let total = self.least.saturating_add(Duration::from_nanos(spread));
        let there = Duration::from_nanos(random.up_to(nanos(total)));
        (there, total.saturating_sub(there))
    }
}

/// Waits for a way to be over. No way is none: the timer would make a millisecond of it.
pub(super) async fn under_way(way: Duration) {
    if !way.is_zero() {
        sleep(way).await;
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl FromStr for Latency {
    type Err = LatencyMalformed;

    fn from_str(text: &str) -> Result<Self, LatencyMalformed> {
        let range = match text.split_once("..") {
            Some((least, most)) => duration(least).zip(duration(most)),
            None => duration(text).map(|one| (one, one)),
        };
        match range {
            Some((least, most)) if least <= most => Ok(Self { least, most }),
            _ => Err(LatencyMalformed(text.into())),
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit_ms) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s')?, 1000),
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
    (millis <= 600_000).then(|| Duration::from_millis(millis))
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.least == self.most {
            true => write!(f, "{}ms", self.least.as_millis()),
            false => write!(f, "{}ms..{}ms", self.least.as_millis(), self.most.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_one_duration_or_a_range() {
        for (text, shown) in [("20ms", "20ms"), ("1s", "1000ms"), ("20ms..1s", "20ms..1000ms"), ("0s", "0ms")]
        {
            assert_eq!(text.parse::<Latency>().unwrap().to_string(), shown);
        }
        for text in
            ["", "20", "ms", "+1s", "-1s", "1m", "2s..1s", "1s..", "..1s", "1s..2s..3s", "601s", "1.5s"]
        {
            assert!(text.parse::<Latency>().is_err(), "{text:?}");
        }
        assert!(format!("{}s", u64::MAX).parse::<Latency>().is_err());
    }

    #[test]
    fn a_drawn_latency_stays_in_its_range() {
        let latency: Latency = "20ms..200ms".parse().unwrap();
        let mut random = Random::new(7);
        let totals: Vec<Duration> =
            (0..1000).map(|_| latency.draw(&mut random)).map(|(there, back)| there + back).collect();
        let (least, most) = (totals.iter().min().unwrap(), totals.iter().max().unwrap());
        assert!((20..30).contains(&least.as_millis()) && (190..=200).contains(&most.as_millis()));
    }
}

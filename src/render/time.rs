//! Times and durations as people read them.

use jiff::Timestamp;

/// `2026-01-02`, in UTC.
pub fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// `2026-01-02 03:04 UTC`.
pub fn minute(at: Timestamp) -> String {
    let text: String = at.to_string().chars().take(16).collect();
    format!("{} UTC", text.replace('T', " "))
}

/// `03:04:05`, in UTC.
pub fn second(at: Timestamp) -> String {
    at.to_string().chars().skip(11).take(8).collect()
}

/// How long a run takes: `under a minute`, `about 9 min 3 s`, `about 2 h 5 min`.
pub fn estimate(seconds: u64) -> String {
    match seconds {
        0..60 => "under a minute".into(),
        60..3600 => format!("about {} min {} s", seconds / 60, seconds % 60),
        _ => format!("about {} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        let at: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
        assert_eq!(date(at), "2026-01-02");
        assert_eq!(minute(at), "2026-01-02 03:04 UTC");
        assert_eq!(
            [59, 60, 543, 3600].map(estimate).join("; "),
            "under a minute; about 1 min 0 s; about 9 min 3 s; about 1 h 0 min"
        );
    }
}

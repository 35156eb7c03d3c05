//! What a person probably meant.

/// The candidate nearest to a word, if one is near enough to be worth a question.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.is_empty() || word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let normal = candidate.to_lowercase().replace('-', "_");
            // `code` for `approval_code`: a whole word of it.
            let is_part = word.len() > 2 && normal.split('_').any(|part| part == word);
            let distance = if is_part { 0 } else { strsim::damerau_levenshtein(&word, &normal) };
            (distance <= allowed).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let keys = ["app_id", "brand", "base_url", "kind", "rate_per_minute"];
        for (word, expected) in [
            ("barnd", Some("brand")),
            ("appid", Some("app_id")),
            ("app-id", Some("app_id")),
            ("APP_ID", Some("app_id")),
            ("url", Some("base_url")),
            ("rate", Some("rate_per_minute")),
            ("knd", Some("kind")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word}");
        }
    }
}

//! One code a line; what follows a `#` is a comment.

use super::{Found, Place, Texts};

pub(super) fn read(text: &str, found: &mut Found) {
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.split('#').next().unwrap_or_default().trim();
        if !code.is_empty() {
            let place = Place::line(number);
            Texts { code: Some((place, code)), ..Texts::default() }.add(place, found);
        }
    }
}

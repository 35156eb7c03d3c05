//! A plan, and what an apply came to, as one page that needs nothing else: no script, no picture, no font from
//! elsewhere. `page` is the only way of a text into it.

mod ending;
mod page;
mod plan;
mod timeline;

pub use ending::text as ending;
pub use plan::text as plan;

use page::Page;

use crate::plan::Plan;
use crate::state::Override;

/// What a page begins with, up to its title.
const HEAD: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; ",
    "base-uri 'none'; form-action 'none'\">\n",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    "<meta name=\"color-scheme\" content=\"light dark\">\n",
    "<meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"robots\" content=\"noindex\">\n<title>"
);

/// How a page stands to what it tells, which is the colour of its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Good,
    Loss,
    Doubt,
    Bad,
}

/// A page up to its counts: `of` is the command that it is the result of.
fn begin(of: &'static str, verdict: &str, mood: Mood, counts: &[(u64, &'static str, Mood)]) -> Page {
    let mut page = Page::new();
    page.raw(HEAD).plain(verdict).raw("</title>\n<style>\n").raw(include_str!("html/page.css"));
    page.raw("</style>\n</head>\n<body>\n<main>\n<header class=\"")
        .raw(class(mood))
        .raw("\">\n<p class=\"of\">");
    page.raw(of).raw("</p>\n<h1>").own(verdict).raw("</h1>\n");
    let counts: Vec<_> = counts.iter().filter(|(number, ..)| *number > 0).collect();
    if !counts.is_empty() {
        page.raw("<ul class=\"counts\">\n");
        for (number, word, mood) in counts {
            page.raw("<li class=\"").raw(class(*mood)).raw("\"><b>").number(*number).raw("</b> ");
            page.raw(word).raw("</li>\n");
        }
        page.raw("</ul>\n");
    }
    page.raw("</header>\n");
    page
}

fn class(mood: Mood) -> &'static str {
    match mood {
        Mood::Good => "good",
        Mood::Loss => "loss",
        Mood::Doubt => "doubt",
        Mood::Bad => "bad",
    }
}

fn end(mut page: Page) -> String {
    page.raw("</main>\n</body>\n</html>\n");
    page.into_text()
}

/// What was allowed by name, if anything was.
fn allowed(overrides: &[Override], page: &mut Page) {
    if overrides.is_empty() {
        return;
    }
    page.raw("<p class=\"doubt\">Allowed by name:</p>\n<ul>\n");
    for Override { flag, value } in overrides {
        page.raw("<li><code>").raw(flag.as_str()).raw(" ").foreign(value, page::NAME).raw("</code></li>\n");
    }
    page.raw("</ul>\n");
}

/// What a plan was made from.
fn made_from(plan: &Plan, page: &mut Page) {
    page.raw("<dt>Made from</dt><dd>line ").number(plan.facts.serial).raw(" of the state <code>");
    page.plain(&plan.facts.lineage.to_string()).raw("</code>, ");
    page.number(plan.counts.tracked).raw(" tracked</dd>\n");
}

/// A command on a line of its own.
fn command(text: &str, page: &mut Page) {
    page.raw("<pre class=\"command\"><code>").plain(text).raw("</code></pre>\n");
}

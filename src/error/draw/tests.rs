//! Drawings of problems that no manifest gives rise to, or only by bad luck.

use super::*;
use crate::manifest::Span;

fn source(path: &str, text: &str) -> Source {
    Source { path: path.into(), bytes: text.as_bytes().into() }
}

fn at(source: usize, bytes: Range<usize>) -> Span {
    Span { source, bytes }
}

fn draw(drawn: Vec<Problem>, sources: &[Source]) -> String {
    problems(&Problems(drawn), sources, false)
}

#[test]
fn nothing_is_drawn_of_no_problems() {
    assert_eq!(draw(vec![], &[]), "");
}

#[test]
fn a_warning_is_called_one_and_a_problem_needs_no_place() {
    let warning = Problem::warning("`A-1` can be deleted").help("the ledger never knew it");
    assert_eq!(
        draw(vec![warning], &[]),
        "warning: `A-1` can be deleted\n  |\n  = help: the ledger never knew it\n"
            .replace("  |", " |")
            .replace("  =", " =")
    );
}

#[test]
fn a_place_that_is_none_does_no_harm() {
    let sources = [source("a", "xy\n\nz"), source("b", "")];
    for span in
        [at(0, 100..200), at(0, 1..100), at(0, 3..3), at(0, 4..4), at(0, 5..5), at(1, 0..0), at(1, 7..9)]
    {
        let drawn = draw(vec![Problem::error("e").at(span.clone(), "here")], &sources);
        assert!(drawn.contains("^ here"), "{span:?}\n{drawn}");
    }
    let drawn = draw(vec![Problem::error("e").at(at(9, 0..1), "here").help("h")], &sources);
    assert!(!drawn.contains("-->") && drawn.contains("help: h"), "{drawn}");
}

#[test]
fn foreign_paths_and_lines_are_escaped_and_columns_are_those_of_the_source() {
    let sources =
        [source("a\u{1b}[2J\n::error::\u{202e}", "\u{1b}\u{202e} 请 = ##vso[x]\\n\t1 # ::error::\r\n")];
    let place = sources[0].bytes.iter().position(|byte| *byte == b'1').unwrap();
    let drawn = draw(vec![Problem::error("e\u{7}").at(at(0, place..place + 1), "l\u{9b}")], &sources);
    assert_eq!(
        drawn,
        "error: e\\u{7}
 --> a\\u{1b}[2J\\n::error::\\u{202e}:1:19
  |
1 | \\u{1b}\\u{202e} 请 = \\u{23}#vso[x]\\n    1 # ::error::
  |                                        ^ l\\u{9b}
"
    );
}

#[test]
fn bytes_that_are_no_text_are_drawn_as_such() {
    let sources = [Source { path: "a".into(), bytes: b"a\xff\xfeb\n".into() }];
    let drawn = draw(vec![Problem::error("e").at(at(0, 2..3), "")], &sources);
    assert!(drawn.contains("1 | a\\xff\\xfeb\n  |      ^^^^\n"), "{drawn}");
}

#[test]
fn what_one_problem_hides_no_other_shows() {
    let sources = [source("a", "key = 's3cret' # x\ns3cret\n'''\n")];
    let first = Problem::error("one").at(at(0, 0..3), "").redact(at(0, 6..14)).redact(at(0, 19..25));
    let others = [at(0, 8..10), at(0, 6..18), at(0, 17..18), at(0, 19..20)];
    let others = others.map(|span| Problem::error("another").at(span, "here"));
    let drawn = draw([vec![first], others.to_vec()].concat(), &sources);
    assert!(!drawn.contains("s3cret"), "{drawn}");
    assert!(drawn.contains("1 | key = <hidden> # x\n  |       ^^^^^^^^ here"), "{drawn}");
    assert!(drawn.contains("2 | <hidden>\n  | ^^^^^^^^ here"), "{drawn}");
}

#[test]
fn a_long_line_is_cut_around_the_place_in_whole_characters() {
    let text = format!("{}place{}", "请".repeat(100_000), "é".repeat(500_000));
    let sources = [source("a", &text)];
    let drawn = draw(vec![Problem::error("e").at(at(0, 300_000..300_005), "here")], &sources);
    assert!(drawn.contains(" --> a:1:100001\n"), "{drawn}");
    assert!(drawn.contains("…请") && drawn.contains("请placeé") && drawn.contains("é…\n"), "{drawn}");
    assert!(drawn.len() < 600, "{drawn}");
    // All of a long place is not shown either.
    let drawn = draw(vec![Problem::error("e").at(at(0, 0..text.len()), "here")], &sources);
    assert!(drawn.len() < 800, "{drawn}");
}

#[test]
fn places_are_drawn_together_where_they_are_near_and_apart_where_they_are_not() {
    let far = format!("a\nb\nc\n{}z\n", "\n".repeat(5000));
    let sources = [source("a", &far), source("b", "q\n")];
    let problem = Problem::error("e")
        .at(at(0, 0..1), "main")
        .at(at(0, 4..5), "near")
        .at(at(0, 5006..5007), "far")
        .at(at(1, 0..1), "other")
        .help("h");
    assert_eq!(
        draw(vec![problem], &sources),
        "error: e
    --> a:1:1
     |
   1 | a
     | ^ main
   2 | b
   3 | c
     | - near
     |
note: far
    --> a:5004:1
     |
5004 | z
     | ^
note: other
    --> b:1:1
     |
   1 | q
     | ^
     = help: h
"
    );
}

#[test]
fn after_the_fiftieth_they_are_counted() {
    let many = |count| draw(vec![Problem::error("e"); count], &[]);
    assert!(many(50).ends_with("error: e\n"));
    assert!(many(51).ends_with("error: e\n\nand 1 more problem\n"));
    assert!(many(10_000).ends_with("error: e\n\nand 9950 more problems\n"));
}

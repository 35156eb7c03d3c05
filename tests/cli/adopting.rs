//! `docs/adopting.md`, carried out: its commands are run in order beside a sandbox, and what the page shows is what they
//! print. `UPDATE=1` writes what they print into the page, to be reviewed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::support::{Platform, Scratch};

/// Where the page's app is; in the test, the sandbox.
const FEISHU: &str = "https://open.feishu.cn";

/// One `$ …` of the page, with the lines of its here-document, and the lines that are shown beneath.
struct Step {
    command: String,
    shown: String,
}

/// The page as text and `console` blocks, in turns, beginning with text.
fn split(page: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_open = false;
    for line in page.split_inclusive('\n') {
        let ends = is_open && line.starts_with("```");
        if ends {
            parts.push(String::new());
            is_open = false;
        }
        parts.last_mut().unwrap().push_str(line);
        if !ends && line.starts_with("```console") {
            parts.push(String::new());
            is_open = true;
        }
    }
    parts
}

fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut here: Option<&str> = None;
    for line in block.lines() {
        match (line.strip_prefix("$ "), here, steps.last_mut()) {
            (Some(command), None, _) => {
                here =
                    command.split_once("<<'").and_then(|(_, end)| end.split_once('\'')).map(|(end, _)| end);
                steps.push(Step { command: format!("{command}\n"), shown: String::new() });
            }
            (_, Some(end), Some(step)) => {
                step.command.push_str(&format!("{line}\n"));
                here = here.filter(|_| line != end);
            }
            (None, None, Some(step)) => step.shown.push_str(&format!("{line}\n")),
            _ => panic!("a block begins with a command: {block}"),
        }
    }
    steps
}

/// What differs from run to run as the page shows it.
fn as_shown(printed: &str, url: &str) -> String {
    let printed = printed.replace(url, FEISHU);
    let words = printed.split_inclusive(char::is_whitespace).map(|word| {
        let text = word.trim_end();
        let is_digest = text.len() == 71 && text.starts_with("sha256:");
        let is_date = text.len() == 10 && text.get(..3) == Some("202") && text.get(4..5) == Some("-");
        match (is_digest, is_date) {
            (true, _) => word.replace(text, "sha256:…"),
            (_, true) => word.replace(text, "2026-11-22"),
            _ => word.to_owned(),
        }
    });
    words.collect()
}

/// Three hundred subscriptions as a script knows them, a fifth of them without a name.
fn script() -> (String, Vec<String>) {
    let forms = ["Leave request", "Travel expenses", "Purchase order", "Overtime", "Use of the seal"];
    let owners = ["people", "finance", "finance", "people", "legal"];
    let mut table = String::from("approval_code,name,owner,last_event\n");
    let mut platform = Vec::new();
    for number in 1..=300 {
        let code = format!("7C468A54-8745-2245-9675-{number:012X}");
        let name = format!("{}, office {}", forms[number % 5], number.div_ceil(5));
        let known = if number % 5 == 4 { String::new() } else { format!("\"{name}\"") };
        table.push_str(&format!("{code},{known},{},2026-11-{:02}\n", owners[number % 5], number % 28 + 1));
        platform.push(format!("{code} {name}"));
    }
    (table, platform)
}

#[test]
fn the_page_does_what_it_says_from_nothing_to_a_gated_pipeline() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/adopting.md");
    let page = fs::read_to_string(&path).unwrap();
    let (table, platform) = script();
    let platform = Platform::start(&platform, &[]);
    let scratch = Scratch::new();
    scratch.write("codes.csv", table);
    let programs = Path::new(env!("CARGO_BIN_EXE_larksub")).parent().unwrap().display().to_string();
    let mut parts = split(&page);
    let mut count = 0;
    let mut exports = String::new();
    for block in parts.iter_mut().skip(1).step_by(2) {
        let mut written = String::new();
        for Step { command, shown } in steps(block) {
            count += 1;
            let line = command.lines().next().unwrap().to_owned();
            let script = exports.clone()
                + &command.replace("brand = \"feishu\"", &format!("base_url = \"{}\"", platform.url));
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &script]);
            scratch.surround(&mut shell);
            shell.env("PATH", format!("{programs}:/usr/bin:/bin")).stderr(Stdio::piped());
            let ran = scratch.start(&line, shell).wait();
            if line.starts_with("export ") {
                exports.push_str(&command);
            }
            assert!(!ran.stderr.contains("error:") || ran.status == Some(0), "{ran}");
            assert_eq!(ran.status, Some(0), "{ran}");
            let printed = as_shown(&ran.stdout, &platform.url);
            written.push_str(&format!("$ {command}{printed}"));
            if std::env::var_os("UPDATE").is_none() {
                // What is not shown has been left out on purpose; what is shown is what is printed.
                assert!(printed == shown, "{ran}\n--- the page\n{shown}--- now\n{printed}");
            }
        }
        *block = written;
    }
    assert!(count >= 15, "the page's commands are found");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, parts.concat()).unwrap();
    }
    // The page ends with one subscription dropped, and everything else as it was.
    assert_eq!(platform.calls().len(), 1);
    scratch.run("plan --detailed-exitcode").exit(0).says(["Nothing to drop: all 299 tracked"]);
    scratch.run("validate").exit(0);
}

//! The pages are held to the program: links lead somewhere, manifests validate, and what is named exists.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use clap::CommandFactory as _;
use larksub::cli::Cli;
use larksub::error::Exit;
use larksub::sandbox::What;

struct Page {
    path: PathBuf,
    text: String,
}

/// A fenced block: what stands behind its fence, and its lines.
struct Block {
    info: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<Page> {
    let mut paths = Vec::new();
    for folder in [root().to_path_buf(), root().join("docs")] {
        paths.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    assert!(paths.len() >= 12, "the pages are where they should be");
    let read = |path: PathBuf| Page { text: fs::read_to_string(&path).unwrap(), path };
    paths.into_iter().map(read).collect()
}

/// The files of `examples/pipelines`.
fn pipelines() -> Vec<PathBuf> {
    let folders = fs::read_dir(root().join("examples/pipelines")).unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    let files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 7, "pipelines are found");
    files
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The fenced blocks of a page, and the text outside of them.
fn split(text: &str) -> (Vec<Block>, String) {
    let mut blocks = Vec::new();
    let mut prose = String::new();
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => open = Some(Block { info: info.into(), text: String::new() }),
            (None, Some(block)) => block.text.push_str(&format!("{line}\n")),
            (None, None) => prose.push_str(&format!("{line}\n")),
        }
    }
    assert!(open.is_none(), "a fence is never closed");
    (blocks, prose)
}

/// The inline code of a text.
fn spans(prose: &str) -> Vec<&str> {
    prose.split('`').skip(1).step_by(2).collect()
}

/// The anchors that a page's headings have.
fn anchors(text: &str) -> BTreeSet<String> {
    let (_, prose) = split(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |heading: &str| {
        heading.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect::<String>()
    };
    headings.map(|heading| anchor(heading).replace(' ', "-")).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for Page { path, text } in pages() {
        let (_, prose) = split(&text);
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            count += 1;
            let (file, anchor) = link.split_once('#').map_or((link, None), |(file, id)| (file, Some(id)));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let is_there = target.exists();
            let is_heading =
                |anchor: &str| fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor));
            if !is_there || anchor.is_some_and(|anchor| !is_heading(anchor)) {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(count >= 40, "links are found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_manifest_validates() {
    let mut manifests = vec![("examples/larksub.toml".to_string(), page("examples/larksub.toml"))];
    for Page { path, text } in pages() {
        let marked = split(&text).0.into_iter().filter(|block| block.info == "toml manifest");
        manifests.extend(marked.map(|block| (path.display().to_string(), block.text)));
    }
    assert!(manifests.len() >= 3, "manifests are found");
    let folder = assert_fs::TempDir::new().unwrap();
    for (place, text) in manifests {
        fs::write(folder.path().join("larksub.toml"), text).unwrap();
        let mut command = Command::cargo_bin("larksub").unwrap();
        let output =
            command.arg("-C").arg(folder.path()).arg("validate").env_remove("LARKSUB_STATE").output();
        let output = output.unwrap();
        assert!(output.status.success(), "{place}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The long and short options of every command by its name, `state rm` for instance; those of all commands under "".
fn options() -> BTreeMap<String, BTreeSet<String>> {
    fn collect(command: &clap::Command, name: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
        let long = command.get_arguments().filter_map(|arg| arg.get_long().map(|long| format!("--{long}")));
        let short =
            command.get_arguments().filter_map(|arg| arg.get_short().map(|short| format!("-{short}")));
        found.insert(name.to_string(), long.chain(short).collect());
        for sub in command.get_subcommands() {
            collect(sub, format!("{name} {}", sub.get_name()).trim(), found);
        }
    }
    let mut command = Cli::command();
    command.build();
    let mut found = BTreeMap::new();
    collect(&command, "", &mut found);
    found
}

fn option_of(word: &str) -> Option<&str> {
    let word =
        word.trim_matches(|c: char| matches!(c, '[' | ']' | '(' | ')' | ',' | '…' | '"' | ':' | ';' | '.'));
    let word = word.split('=').next()?;
    let is_option = word.strip_prefix("--").is_some_and(|name| !name.is_empty())
        || (word.len() == 2 && word.starts_with('-') && word.ends_with(|c: char| c.is_ascii_alphabetic()));
    is_option.then_some(word)
}

/// What a command line names that the program does not have.
fn strangers(line: &str, options: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let Some((_, rest)) = line.split_once("larksub ") else { return Vec::new() };
    let rest = rest.split([';', '|', '>', '#', '&']).next().unwrap_or_default();
    let words: Vec<&str> = rest.split_whitespace().collect();
    let mut name = String::new();
    for word in &words {
        let longer = format!("{name} {word}");
        if options.contains_key(longer.trim()) {
            name = longer.trim().to_string();
        }
    }
    let known = &options[&name];
    let named = words.iter().filter_map(|word| option_of(word));
    named.filter(|option| !known.contains(*option)).map(|option| format!("`{option}` in `{line}`")).collect()
}

#[test]
fn every_option_that_is_named_exists() {
    // Of cargo, git and rustup; of Atlantis.
    const FOREIGN: [&str; 9] = [
        "--features",
        "--release",
        "--example",
        "--test",
        "--rebase",
        "--locked",
        "--allow-fork-prs",
        "--checkout-strategy",
        "--discard-approval-on-plan",
    ];
    let mut options = options();
    // How all of them begin.
    options.get_mut("").unwrap().insert("--allow-".into());
    let options = options;
    let all: BTreeSet<&String> = options.values().flatten().collect();
    let mut unknown = Vec::new();
    let mut count = 0;
    for Page { path, text } in pages() {
        let (blocks, prose) = split(&text);
        let is_shell = |block: &&Block| ["sh", "console", "yaml"].contains(&block.info.as_str());
        let shell = blocks.iter().filter(is_shell).flat_map(|block| block.text.lines());
        let commands = shell.filter(|line| line.contains("larksub ") && !line.contains("git"));
        let inline = spans(&prose);
        for line in commands.chain(inline.iter().copied().filter(|span| span.starts_with("larksub "))) {
            count += 1;
            let found = strangers(line, &options);
            unknown.extend(found.into_iter().map(|stranger| format!("{}: {stranger}", path.display())));
        }
        let words = inline.iter().flat_map(|span| span.split_whitespace()).filter_map(option_of);
        for option in words.filter(|option| option.starts_with("--") && !FOREIGN.contains(option)) {
            if !all.iter().any(|known| *known == option) {
                unknown.push(format!("{}: `{option}`", path.display()));
            }
        }
    }
    for file in pipelines() {
        let text = fs::read_to_string(file).unwrap();
        let lines = text.lines().filter(|line| line.contains("larksub ") && !line.contains("git"));
        unknown.extend(lines.flat_map(|line| strangers(line, &options)));
    }
    assert!(count >= 40, "commands are found");
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

#[test]
fn the_manual_has_every_command_and_option() {
    let manual = page("docs/cli.md") + &page("docs/sandbox.md");
    let mut command = Cli::command();
    command.build();
    let mut missing = Vec::new();
    let mut rest = vec![(&command, String::from("larksub"))];
    while let Some((command, name)) = rest.pop() {
        if !command.has_subcommands() && !manual.contains(&format!("`{name}")) {
            missing.push(name.clone());
        }
        let options =
            command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(|arg| arg.get_long());
        missing.extend(
            options
                .filter(|long| !manual.contains(&format!("--{long}")))
                .map(|long| format!("{name} --{long}")),
        );
        rest.extend(command.get_subcommands().map(|sub| (sub, format!("{name} {}", sub.get_name()))));
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// The first cells of the rows of the table that follows a heading.
fn first_cells(text: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) = text.split_once(&format!("\n{heading}\n")).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split(','))
        .map(|cell| cell.trim().trim_matches('`').to_string())
        .collect()
}

#[test]
fn tables_of_codes_and_words_are_complete() {
    let exits = [
        Exit::Done,
        Exit::Error,
        Exit::Changes,
        Exit::Incomplete,
        Exit::Refused,
        Exit::Locked,
        Exit::Stopped,
        Exit::Unwritable,
        Exit::Interrupted,
        Exit::Terminated,
    ];
    let codes: BTreeSet<String> = exits.iter().map(|exit| exit.code().to_string()).collect();
    assert_eq!(first_cells(&page("README.md"), "## Exit codes"), codes);
    assert_eq!(first_cells(&page("docs/cli.md"), "## Exit codes"), codes);
    let faults: BTreeSet<String> = What::all().map(|(word, _)| word.to_string()).collect();
    assert_eq!(first_cells(&page("docs/sandbox.md"), "## Faults"), faults);
}

#[test]
fn every_failure_mode_names_its_proof() {
    let text = page("docs/failure-modes.md");
    let table = text.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let cells = |row: &'_ str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect();
    let rows: Vec<Vec<String>> = table.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(rows.len() >= 30, "failure modes are found");
    let mut unproven = Vec::new();
    for row in rows.iter().filter(|row| !row[0].starts_with("**")) {
        let proofs = spans(row.last().unwrap());
        let is_test = |path: &&str| path.starts_with("tests/") || path.starts_with("src/");
        if row.len() != 5 || proofs.is_empty() || !proofs.iter().all(is_test) {
            unproven.push(row.join(" | "));
        }
    }
    assert!(unproven.is_empty(), "{}", unproven.join("\n"));
}

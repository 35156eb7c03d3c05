//! The pages as a browser draws and prints them: Debian's Chromium, without a window. Where there is none, a loud line
//! says so, and the sizes are looked at all the same.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/sample.rs"]
mod sample;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use larksub::render::html;

use sample::{applied, code, ending, plan};

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn chromium() -> Option<&'static str> {
    let found = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    if found.is_none() {
        eprintln!("\nWARNING: no Chromium here: no page was drawn or printed\n");
    }
    found
}

/// Runs the browser on a page, with a profile of its own.
fn browse(chromium: &str, page: &Path, args: &[String]) -> String {
    let profile = assert_fs::TempDir::new().unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"])
        .args(["--hide-scrollbars", "--no-pdf-header-footer", "--disable-background-networking"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(args)
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!complaints.contains("Content Security Policy"), "{complaints}");
    String::from_utf8(output.stdout).unwrap()
}

/// Width and height of a PNG.
fn size(png: &Path) -> (u32, u32) {
    let bytes = fs::read(png).unwrap();
    assert_eq!(&bytes[1..4], b"PNG");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

/// The pages that are looked at, with the first line and something that must be on the first screen or sheet.
async fn pages() -> Vec<(&'static str, String, String)> {
    let mut pages = Vec::new();
    for (name, drops, apps, refused) in
        [("plan-3", 3, 1, false), ("plan-40", 40, 3, true), ("plan-1000", 1000, 3, false)]
    {
        let plan = plan(drops, apps, refused);
        let verdict = larksub::render::plan::verdict(&plan, larksub::render::Paint::Plain);
        pages.push((name, html::plan(&plan, Some("plan.json"), None), verdict));
    }
    let word = |number: usize, what: &str| format!("{}={what}", code(number));
    for (name, drops, faults) in [
        ("apply-40", 40, vec![word(3, "not_found"), word(7, "param"), word(20, "5xx:9"), word(21, "param")]),
        ("apply-1000", 1000, vec![word(500, "rate_limit:2"), word(990, "not_found")]),
    ] {
        let plan = plan(drops, 3, false);
        let ran = applied(&plan, &faults).await;
        let ending = ending(&ran.report, &plan, &[]);
        pages.push((name, html::ending(&ending), larksub::render::ending::verdict(&ending)));
    }
    pages
}

#[tokio::test(start_paused = true)]
async fn pages_are_small_and_are_drawn_and_printed_whole() {
    let pages = pages().await;
    let chromium = chromium();
    let begun = Instant::now();
    for (name, text, verdict) in &pages {
        let page = folder().join(format!("{name}.html"));
        fs::write(&page, text).unwrap();
        println!("{name}: {} bytes", text.len());
        let most = if name.ends_with("1000") { 300_000 } else { 40_000 };
        assert!(text.len() < most, "{name}: {}", text.len());
        let Some(chromium) = chromium else { continue };
        draw(chromium, name, &page);
        print(chromium, name, &page, verdict);
        // What the browser made of it is what was written: nothing was moved out of its table or dropped.
        let tree = browse(chromium, &page, &["--dump-dom".into()]);
        let rows = |text: &str| text.matches("<tr>").count();
        assert_eq!(rows(&tree), rows(text), "{name}");
        assert!(!tree.contains("<script"), "{name}");
    }
    if chromium.is_some() {
        println!("the browser took {:.1} s", begun.elapsed().as_secs_f64());
    }
}

/// Light, dark and narrow.
fn draw(chromium: &str, name: &str, page: &Path) {
    let mut drawn = Vec::new();
    for (look, width, more) in [("light", 1280, ""), ("dark", 1280, "--force-dark-mode"), ("narrow", 500, "")]
    {
        let png = folder().join(format!("{name}-{look}.png"));
        let mut args = vec![format!("--screenshot={}", png.display()), format!("--window-size={width},1600")];
        args.extend((!more.is_empty()).then(|| more.to_owned()));
        browse(chromium, page, &args);
        assert_eq!(size(&png), (width, 1600), "{name} {look}");
        drawn.push(fs::read(&png).unwrap());
    }
    assert!(drawn[0] != drawn[1], "{name}: dark looks like light");
}

/// On paper: more than no sheet, the verdict on the first, what was folded away on some, and no row is lost.
fn print(chromium: &str, name: &str, page: &Path, verdict: &str) {
    let pdf = folder().join(format!("{name}.pdf"));
    browse(chromium, page, &[format!("--print-to-pdf={}", pdf.display())]);
    let bytes = fs::read(&pdf).unwrap();
    assert!(bytes.starts_with(b"%PDF-") && bytes.len() > 5_000, "{name}: {} bytes", bytes.len());
    let text = |args: &[&str]| Command::new("pdftotext").args(args).arg(&pdf).arg("-").output().ok();
    let Some(first) = text(&["-l", "1"]) else {
        return eprintln!("\nWARNING: no pdftotext here: what is on paper was not read\n");
    };
    let plain = |bytes: &[u8]| -> String {
        String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_whitespace()).collect()
    };
    let verdict: String = verdict.chars().filter(|c| !c.is_whitespace()).collect();
    assert!(plain(&first.stdout).contains(&verdict), "{name}: {verdict}");
    let whole = plain(&text(&[]).unwrap().stdout);
    let drops = name.rsplit('-').next().unwrap().parse().unwrap();
    for number in 0..drops {
        assert!(whole.contains(&code(number)), "{name}: {} is not on paper", code(number));
    }
    if name.starts_with("plan") {
        assert!(
            whole.contains("FORGET-1") && whole.contains("NEW-1"),
            "{name}: what is folded is not on paper"
        );
    }
}

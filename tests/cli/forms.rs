//! The forms of a plan for a pull or merge request, printed and written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::support::{Scratch, code};

const URL: &str = "http://127.0.0.1:9";

fn dropping() -> Scratch {
    Scratch::dropping(URL, &[code(1), code(2), code(3)], &[&code(2)])
}

#[test]
fn several_forms_come_from_one_plan() {
    let scratch = dropping();
    let reports = [
        "markdown=plan.md",
        "gitlab=tfplan.json",
        "github=plan.log",
        "json=again.json",
        "diff=plan.diff",
        "html=plan.html",
    ];
    let reports: String = reports.map(|report| format!(" --report {report}")).concat();
    let ran = scratch.run(&format!("plan --out plan.json{reports} --report text=plan.txt"));
    ran.exit(0);
    assert_eq!(scratch.text("tfplan.json"), "{\"create\":0,\"update\":0,\"delete\":2}\n");
    assert_eq!(scratch.bytes("plan.json"), scratch.bytes("again.json"));
    assert_eq!(ran.stdout, scratch.text("plan.txt"));
    let digest = scratch.json("plan.json")["digest"].as_str().unwrap().to_owned();
    let comment = scratch.text("plan.md");
    assert!(comment.starts_with("### 2 of 3 tracked subscriptions will be dropped.\n"), "{comment}");
    assert!(comment.contains(&format!("```sh\nlarksub apply --digest {digest}\n```")), "{comment}");
    assert!(comment.ends_with(&format!(" digest={digest} -->\n")), "{comment}");
    for (format, file) in
        [("markdown", "plan.md"), ("gitlab", "tfplan.json"), ("github", "plan.log"), ("html", "plan.html")]
    {
        // A saved plan says the same.
        let shown = scratch.run(&format!("show plan.json --format {format}"));
        shown.exit(0);
        assert_eq!(shown.stdout, scratch.text(file));
        let planned = scratch.run(&format!("plan --format {format} --out plan.json"));
        planned.exit(0);
        assert_eq!(planned.stdout, shown.stdout);
    }
}

#[test]
fn nothing_is_written_over_manifest_state_or_another_form() {
    let scratch = dropping();
    let (state, toml) = (scratch.state(), scratch.text("larksub.toml"));
    scratch.write("there.md", "before");
    for reports in [
        "--report markdown=larksub.state.jsonl",
        "--report markdown=./larksub.toml",
        "--report markdown=new.md --report text=./new.md",
        "--out plan.json --report markdown=plan.json",
        "--report markdown=there.md --report text=./there.md",
    ] {
        scratch.run(&format!("plan {reports}")).exit(1).says(["nothing was written"]);
        assert_eq!(
            (scratch.state(), scratch.text("larksub.toml")),
            (state.clone(), toml.clone()),
            "{reports}"
        );
    }
    assert_eq!(scratch.text("there.md"), "before");
    assert!(!scratch.path("new.md").exists() && !scratch.path("plan.json").exists());
    for wrong in ["ndjson=x", "markdown", "markdown=", "=x", ""] {
        scratch.run(&format!("plan --report={wrong}")).exit(1);
    }
}

#[test]
fn a_file_is_written_whole_and_keeps_its_mode() {
    let scratch = dropping();
    scratch.write("plan.md", "x".repeat(100_000));
    fs::set_permissions(scratch.path("plan.md"), fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("plan.md", scratch.path("link.md")).unwrap();
    scratch.run("plan --report markdown=link.md").exit(0);
    assert!(scratch.text("plan.md").starts_with("### "));
    assert!(fs::symlink_metadata(scratch.path("link.md")).unwrap().is_symlink());
    assert_eq!(fs::metadata(scratch.path("plan.md")).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(!scratch.names().iter().any(|name| name.starts_with(".larksub-")), "{:?}", scratch.names());
    scratch.run("plan --report markdown=/dev/full").exit(1).says(["/dev/full cannot be written"]);
    scratch.run("plan --report markdown=/dev/null --report text=/dev/null").exit(0);
}

#[test]
fn a_comment_has_a_limit_and_a_key() {
    let codes: Vec<String> = (0..400).map(code).collect();
    let scratch = Scratch::dropping(URL, &codes, &[]);
    let ran = scratch.run("plan --format markdown --max-chars 2000 --comment-key org/repo-1");
    ran.exit(0);
    assert!(ran.stdout.chars().count() <= 2000, "{ran}");
    assert!(
        ran.stdout.contains("of 400 drops are not listed here**, for want of room. `larksub plan --full`"),
        "{ran}"
    );
    assert!(ran.stdout.contains("\n<!-- larksub-plan key=org/repo-1 digest=sha256:"), "{ran}");
    for wrong in
        ["--max-chars 1999", "--max-chars x", "--comment-key a--b", "--comment-key a>b", "--comment-key ="]
    {
        scratch.run(&format!("plan --format markdown {wrong}")).exit(1);
    }
}

#[test]
fn github_gets_annotations_with_places_and_outputs() {
    let scratch = Scratch::dropping(URL, &[code(1), code(2)], &[]);
    let toml = scratch.text("larksub.toml");
    scratch.write("larksub.toml", toml.replace("[policy]", "[policy]\nmax_drops = 0"));
    scratch.write("outputs", "earlier=1\n");
    scratch.set("GITHUB_OUTPUT", &scratch.path("outputs").display().to_string());
    scratch.run("plan").exit(4);
    assert_eq!(scratch.text("outputs"), "earlier=1\n", "only where it is asked for");
    let ran = scratch.run("plan --format github --out plan.json");
    ran.exit(4);
    assert!(
        ran.stdout
            .contains("::error file=larksub.toml,line=2,title=refused by max_drops::2 to drop, at most 0%0A"),
        "{ran}"
    );
    assert!(ran.stdout.contains("\n::notice title=larksub plan::REFUSED by 1 guard."), "{ran}");
    let digest = scratch.json("plan.json")["digest"].as_str().unwrap().to_owned();
    let outputs = format!("earlier=1\nhas_changes=true\ndrops=2\nown_drops=2\ndigest={digest}\n");
    assert_eq!(scratch.text("outputs"), outputs);
    scratch.set("GITHUB_OUTPUT", "/dev/full");
    scratch.run("plan --format github").exit(1).says(["GITHUB_OUTPUT names /dev/full"]);
}

#[test]
fn the_state_is_no_comment() {
    let scratch = dropping();
    for format in ["markdown", "gitlab", "github", "html"] {
        scratch.run(&format!("show --format {format}")).exit(1).says(["show plan.json"]);
    }
}

#[test]
fn the_outputs_of_a_step_are_never_added_to_an_input() {
    let scratch = Scratch::tracking("http://127.0.0.1:9", &[code(1)]);
    scratch.run("plan --out plan.json").exit(0);
    for (file, what) in [("larksub.state.jsonl", "the state"), ("larksub.toml", "the manifest")] {
        let before = scratch.bytes(file);
        scratch.set("GITHUB_OUTPUT", &scratch.path(file).display().to_string());
        for command in ["plan", "show plan.json", "apply plan.json"] {
            let ran = scratch.run(&format!("{command} --format github"));
            ran.exit(1).says([&format!("names {what}"), "GITHUB_OUTPUT"]);
        }
        assert_eq!(scratch.bytes(file), before);
        scratch.run("plan").exit(0);
    }
    scratch.unset("GITHUB_OUTPUT");
    let ran = scratch.run("plan --report html=-");
    assert_ne!(ran.status, Some(0));
    ran.says(["`--format html` prints it"]);
    assert!(!scratch.names().contains(&"-".to_owned()));
}

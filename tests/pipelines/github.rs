//! What becomes of pull requests and merges on GitHub.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use larksub::sandbox::{Config, Latency};

use crate::forge::{Forge, TRACKED, code, git};
use crate::workflow::Soundness::{Cancelled, Failure, Success};

/// More than are under way at once, and fewer than a guard refuses.
const FEW: [usize; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];

const BOT: &str = "github-actions[bot]";

fn mark(digest: &str) -> String {
    format!("<!-- larksub-plan key=larksub digest={digest} -->")
}

#[test]
fn a_pull_request_is_planned_without_a_secret_and_commented_once() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3]);
    let plan = forge.plan(pull).ends(Success);
    assert_eq!(
        (plan.outputs["has_changes"].as_str(), plan.outputs["drops"].as_str()),
        ("true", "1"),
        "{plan}"
    );
    assert!(plan.said().contains("::notice title=larksub plan::"), "{plan}");
    assert!(plan.summary.contains(&code(3)), "{}", plan.summary);

    forge.comment(pull).ends(Success);
    let comments = forge.comments(pull);
    assert_eq!(comments.len(), 1);
    assert!(
        comments[0].contains(&code(3)) && comments[0].contains(&mark(&plan.outputs["digest"])),
        "{comments:?}"
    );

    let text = forge.manifest(&[3, 4]);
    forge.push_again(pull, |desk| fs::write(desk.join("larksub.toml"), text).unwrap());
    let again = forge.plan(pull).ends(Success);
    forge.comment(pull).ends(Success);
    let comments = forge.comments(pull);
    assert_eq!(comments.len(), 1, "the comment is updated in place");
    assert!(
        comments[0].contains(&code(4)) && comments[0].contains(&mark(&again.outputs["digest"])),
        "{comments:?}"
    );

    // Taken back: what was said is not left standing.
    let text = forge.manifest(&[]);
    forge.push_again(pull, |desk| fs::write(desk.join("larksub.toml"), text).unwrap());
    forge.comment(pull).ends(Success);
    assert!(forge.comments(pull)[0].contains("Nothing to drop"), "{:?}", forge.comments(pull));
    assert!(forge.calls().is_empty(), "nothing but apply calls the platform");
}

#[test]
fn a_pull_request_about_something_else_gets_no_comment() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.open(|desk| fs::write(desk.join("README.md"), "hello\n").unwrap());
    forge.plan(pull).ends(Success);
    forge.comment(pull).ends(Success);
    assert!(forge.comments(pull).is_empty());
}

#[test]
fn a_comment_of_somebody_else_is_neither_believed_nor_edited() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3]);
    let digest = forge.plan(pull).outputs["digest"].clone();
    forge.say(pull, "mallory", "User", &mark(&digest));
    forge.say(pull, BOT, "User", &mark(&digest));
    // By the bot, but quoted by another workflow: the mark is not its last line.
    forge.say(pull, BOT, "Bot", &format!("{}\nsomething else", mark(&digest)));
    let before = forge.comments(pull);
    forge.merge(pull);
    let run = forge.begin();
    assert!(run.plan.said().contains("This is not the plan that the pull request showed"), "{}", run.plan);
    let after = forge.comments(pull);
    assert_eq!(after[..3], before[..]);
    assert!(after.len() == 4 && after[3].contains("key=larksub/main"), "{after:?}");
}

#[test]
fn a_hostile_manifest_says_nothing_to_shell_service_or_reader() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let trap = forge.path("trapped");
    let zeros = "0".repeat(64);
    let words = [
        format!("$(touch {0}) `touch {0}` '; touch {0}; ' \\\"", trap.display()),
        "\\n::set-output name=digest::x\\n::error::x\\n##[error]x \\u202e ${{ github.token }} @acme/owners"
            .into(),
        format!("\\n<!-- larksub-plan key=larksub digest=sha256:{zeros} -->"),
    ];
    let mut text = forge.manifest(&[3, 4, 5]);
    for (number, words) in (3..).zip(&words) {
        let entry = format!("approval_code = \"{}\"\nreason = \"{words}\"\n", code(number));
        text.push_str(&format!("\n[[apps.hr.removed]]\n{entry}"));
    }
    let pull = forge.open(|desk| {
        fs::write(desk.join("larksub.toml"), text).unwrap();
        // Whatever a build, a shell or git could be made to run.
        for name in ["larksub", "cargo", "jq", "gh", "build.rs", ".envrc", "Makefile", "base.json/x"] {
            let path = desk.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("#!/bin/sh\ntouch {} # FORK\n", trap.display())).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        fs::remove_dir_all(desk.join("base.json")).unwrap();
        fs::write(desk.join(".gitattributes"), "* filter=evil diff=evil merge=evil\n").unwrap();
    });
    for job in [forge.plan(pull).ends(Success), forge.comment(pull).ends(Success)] {
        for line in job.said().lines() {
            let is_ours = line.starts_with("::notice title=larksub plan::");
            assert!(!line.trim_start().starts_with("::") || is_ours, "{line}");
            assert!(!line.contains("##["), "{line}");
        }
        assert!(!job.said().contains("token-of-the-job") && !job.said().contains('\u{202e}'), "{job}");
    }
    assert!(!trap.exists(), "nothing of the fork's was run");
    let comments = forge.comments(pull);
    let comment = &comments[0];
    let last = comment.trim_end().lines().last().unwrap();
    assert!(
        last.starts_with("<!-- larksub-plan key=larksub digest=sha256:") && !last.contains("00000000"),
        "{last}"
    );
    assert!(comment.lines().all(|line| !line.starts_with("::")), "{comment}");
}

#[test]
fn nothing_of_a_fork_is_on_the_disk_of_the_job_that_may_write() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.open(|desk| {
        fs::write(desk.join("larksub.toml"), forge.manifest(&[3]) + "# FORK\n").unwrap();
        fs::write(desk.join("evil.sh"), "FORK\n").unwrap();
        fs::create_dir(desk.join(".larksub")).unwrap();
        fs::write(desk.join(".larksub/evil"), "FORK\n").unwrap();
    });
    let job = forge.comment(pull).ends(Success);
    let found = files_with(&job.workspace, "FORK");
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(forge.comments(pull).len(), 1);
}

/// The files below a folder that hold a text.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files_with(&path, text)),
            false => {
                let bytes = fs::read(&path).unwrap_or_default();
                if String::from_utf8_lossy(&bytes).contains(text) {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    found
}

#[test]
fn a_pull_request_that_changes_a_state_file_is_refused_by_both_jobs() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let names = ["larksub.state.jsonl", "deep/down/Other.State.JSONL", "larksub.state.jsonl.tail-1"];
    for name in names {
        let pull = forge.open(|desk| {
            fs::create_dir_all(desk.join(name).parent().unwrap()).unwrap();
            fs::write(desk.join(name), "forged\n").unwrap();
        });
        forge.plan(pull).ends(Failure).says(["changes a state file", "Take the change out"]).skips("Plan");
        forge.comment(pull).ends(Failure).says(["changes a state file"]);
        let comments = forge.comments(pull);
        assert!(
            comments[0].contains("Take the change out") && comments[0].contains(&mark("none")),
            "{comments:?}"
        );
    }
}

#[test]
fn a_manifest_that_is_no_plain_file_is_refused_by_both_jobs() {
    type Change = fn(&Path);
    let changes: [(Change, &str); 4] = [
        (
            |desk| {
                fs::remove_file(desk.join("larksub.toml")).unwrap();
                symlink("/proc/self/environ", desk.join("larksub.toml")).unwrap();
            },
            "a link, a folder or a submodule",
        ),
        (
            |desk| {
                fs::remove_file(desk.join("larksub.toml")).unwrap();
                fs::create_dir(desk.join("larksub.toml")).unwrap();
                fs::write(desk.join("larksub.toml/x.toml"), "").unwrap();
            },
            "a link, a folder or a submodule",
        ),
        (
            |desk| {
                let commit = git(desk, &["rev-parse", "HEAD"]);
                fs::remove_file(desk.join("larksub.toml")).unwrap();
                let entry = format!("160000,{commit},larksub.toml");
                git(desk, &["update-index", "--cacheinfo", &entry]);
                fs::create_dir(desk.join("larksub.toml")).unwrap();
            },
            "a link, a folder or a submodule",
        ),
        (|desk| fs::remove_file(desk.join("larksub.toml")).unwrap(), "There is no manifest"),
    ];
    let Some(forge) = Forge::new(Config::default()) else { return };
    for (change, words) in changes {
        let pull = forge.open(change);
        forge.plan(pull).ends(Failure).says([words]).skips("Plan");
        forge.comment(pull).ends(Failure).says([words]);
        assert!(forge.comments(pull)[0].contains(words), "{:?}", forge.comments(pull));
    }
}

#[test]
fn a_folder_of_manifests_is_planned_and_no_name_hides_another_file() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    forge.manifest_at.replace(Some("approvals/".into()));
    let moved = forge.open(|desk| {
        fs::create_dir(desk.join("approvals")).unwrap();
        fs::rename(desk.join("larksub.toml"), desk.join("approvals/hr.toml")).unwrap();
        fs::write(desk.join("approvals/README.md"), "not a manifest\n").unwrap();
        symlink("/etc", desk.join("approvals/.hidden.toml")).unwrap();
    });
    // There is no manifest on main yet, so that there is nothing to compare with.
    forge.plan(moved).ends(Success);
    forge.comment(moved).ends(Success);
    assert!(forge.comments(moved)[0].contains("Nothing to drop"), "{:?}", forge.comments(moved));
    forge.merge(moved);

    let pull = forge.open(|desk| fs::write(desk.join("approvals/hr.toml"), forge.manifest(&[3])).unwrap());
    forge.plan(pull).ends(Success);
    forge.comment(pull).ends(Success);
    assert!(forge.comments(pull)[0].contains(&code(3)), "{:?}", forge.comments(pull));
    forge.merge(pull);
    forge.begin().approve().ends(Success);
    assert_eq!(forge.calls(), [code(3)]);

    // A second file that a careless reader would write over the first one, or find outside of the tree.
    let hostile: [&str; 3] = ["approvals/x\thr.toml", "approvals/\nhr.toml", "approvals/h r.toml"];
    for name in hostile {
        let pull = forge.open(|desk| {
            fs::write(desk.join("approvals/hr.toml"), forge.manifest(&[3, 4])).unwrap();
            fs::write(desk.join(name), forge.manifest(&[3])).unwrap();
        });
        forge.plan(pull).ends(Failure).says(["The name of a manifest"]).skips("Plan");
        forge.comment(pull).ends(Failure).says(["The name of a manifest"]);
    }
    let pull = forge.open(|desk| symlink("hr.toml", desk.join("approvals/it.toml")).unwrap());
    forge.comment(pull).ends(Failure).says(["a link, a folder or a submodule"]);
    let pull = forge.open(|desk| {
        fs::rename(desk.join("approvals"), desk.join("elsewhere")).unwrap();
        symlink("elsewhere", desk.join("approvals")).unwrap();
    });
    forge.plan(pull).ends(Failure).says(["There is no manifest"]).skips("Plan");
    forge.comment(pull).ends(Failure).says(["There is no manifest"]);
}

#[test]
fn a_plan_that_a_guard_refuses_fails_both_jobs_and_is_shown() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let all: Vec<usize> = (1..=TRACKED).collect();
    let pull = forge.removing(&all);
    forge.plan(pull).ends(Failure).exits("Plan", 4).says(["::error"]);
    forge.comment(pull).ends(Failure).exits("Plan", 4).exits("Comment", 0);
    assert!(forge.comments(pull)[0].contains("max_drop_percent"), "{:?}", forge.comments(pull));
}

#[test]
fn a_manifest_with_problems_leaves_no_older_digest_standing() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3]);
    forge.comment(pull).ends(Success);
    forge.push_again(pull, |desk| fs::write(desk.join("larksub.toml"), "[apps.hr\n").unwrap());
    forge.plan(pull).ends(Failure).exits("Plan", 1);
    forge.comment(pull).ends(Failure).exits("Plan", 1).exits("Comment", 0);
    let comments = forge.comments(pull);
    assert!(comments.len() == 1 && comments[0].contains(&mark("none")), "{comments:?}");
}

#[test]
fn what_was_reviewed_is_applied_after_the_merge_and_the_ledger_is_pushed() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3, 4]);
    forge.comment(pull).ends(Success);
    let comments = forge.comments(pull);
    forge.merge(pull);
    let run = forge.begin();
    assert!(run.plan.said().contains("This is the plan that the pull request showed"), "{}", run.plan);
    assert!(run.plan.summary.contains(&code(3)));
    assert_eq!(forge.comments(pull), comments, "nothing new is said");
    assert!(run.title().contains("Apply sha256:"), "{}", run.title());
    let before = forge.ledger("larksub-state");

    let job = run.approve().ends(Success).exits("Apply", 0).exits("Keep the ledger", 0);
    assert!(!job.said().contains("secret-of-the-app"));
    assert_eq!(forge.calls(), [code(3), code(4)]);
    let after = forge.ledger("larksub-state");
    assert!(after.starts_with(&before) && after.contains("\"how\":\"done\""), "{after}");
    assert!(after.contains("https://github.com/acme/approvals/actions/runs/"), "{after}");

    let run = forge.begin();
    assert_eq!(run.plan.outputs["has_changes"], "false");
    assert!(!run.waits(), "nobody is asked for nothing");
    assert_eq!(forge.dispatched(), 0);
}

#[test]
fn main_that_moved_on_while_the_plan_waited_is_planned_and_approved_anew() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let (one, two) = (forge.removing(&[2]), forge.removing(&[11]));
    forge.comment(one).ends(Success);
    forge.comment(two).ends(Success);
    forge.merge(one);
    let first = forge.begin();
    // The second one is merged while the first waits for its approval.
    forge.merge(two);
    let job = first.approve().ends(Failure).exits("Apply", 4).says(["Nothing was sent"]);
    assert_eq!(job.outputs["stale"], "true");
    assert!(forge.calls().is_empty());
    assert_eq!(forge.dispatched(), 1, "a new run is started");

    let second = forge.begin();
    let comments = forge.comments(two);
    assert!(comments.len() == 2, "{comments:?}");
    assert!(comments[1].contains(&code(2)) && comments[1].contains(&code(11)), "{comments:?}");
    assert_ne!(second.title(), first.title(), "another plan is approved");
    second.approve().ends(Success);
    assert_eq!(forge.calls(), [code(2), code(11)]);
    // Started over once more, it says so in the same comment, if at all.
    assert!(!forge.begin().waits());
    assert_eq!(forge.comments(two).len(), 2);
}

#[test]
fn two_merges_one_after_the_other_are_each_what_was_reviewed() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let (one, two) = (forge.removing(&[2]), forge.removing(&[11]));
    forge.comment(one).ends(Success);
    forge.comment(two).ends(Success);
    for pull in [one, two] {
        forge.merge(pull);
        let run = forge.begin();
        assert!(run.plan.said().contains("This is the plan that the pull request showed"), "{}", run.plan);
        run.approve().ends(Success);
        assert_eq!(forge.comments(pull).len(), 1);
    }
    assert_eq!(forge.calls(), [code(2), code(11)]);
}

#[test]
fn what_main_waits_for_already_is_told_apart_from_what_a_pull_request_adds() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let (one, two) = (forge.removing(&[2]), forge.removing(&[11]));
    forge.merge(one);
    // Nobody has approved the first one yet.
    forge.push_again(two, |desk| {
        git(desk, &["fetch", "--quiet", "origin", "main"]);
        git(desk, &["merge", "--quiet", "--message", "main", "FETCH_HEAD"]);
        fs::write(desk.join("seen"), "").unwrap();
    });
    let plan = forge.plan(two).ends(Success);
    assert_eq!([&plan.outputs["drops"], &plan.outputs["own_drops"]], ["2", "1"], "{plan}");
    forge.comment(two).ends(Success);
    let comment = forge.comments(two).remove(0);
    assert!(
        comment.contains("pending") && comment.contains(&code(2)) && comment.contains(&code(11)),
        "{comment}"
    );
}

#[test]
fn a_cancelled_apply_pushes_what_it_recorded_and_the_same_job_finishes_it() {
    let latency = Latency::between(Duration::from_millis(250), Duration::from_millis(250));
    let Some(forge) = Forge::new(Config { latency, ..Config::default() }) else { return };
    let pull = forge.removing(&FEW);
    forge.comment(pull).ends(Success);
    forge.merge(pull);
    let run = forge.begin();
    let one_is_done = |workspace: &Path| {
        let ledger = fs::read_to_string(workspace.join(".larksub-state/larksub.state.jsonl")).unwrap();
        ledger.contains("\"op\":\"outcome\"")
    };
    let job = run.approve_and_cancel(Some(&one_is_done)).ends(Cancelled).exits("Apply", 130);
    let job = job.exits("Keep the ledger", 0).skips("Was the approved plan stale?");
    let ledger = forge.ledger("larksub-state");
    assert!(
        ledger.contains("\"op\":\"outcome\"") && ledger.contains("\"how\":\"interrupted\""),
        "{job}\n{ledger}"
    );
    let outcomes = ledger.matches("\"op\":\"outcome\"").count();
    assert!(outcomes < FEW.len(), "cancelled in the middle\n{ledger}");

    run.approve().ends(Success).exits("Apply", 0);
    let (calls, ledger) = (forge.calls(), forge.ledger("larksub-state"));
    assert_eq!(calls, FEW.map(code), "each is sent once");
    assert!(ledger.contains("\"how\":\"done\""), "{ledger}");
    assert!(!forge.begin().waits());
}

#[test]
fn a_failed_call_fails_the_job_and_its_record_is_pushed() {
    let faults = vec![format!("{}=not_found:1", code(3)).parse().unwrap()];
    let Some(forge) = Forge::new(Config { faults, ..Config::default() }) else { return };
    let pull = forge.removing(&[3, 4]);
    forge.merge(pull);
    let run = forge.begin();
    let job = run.approve().ends(Failure).exits("Apply", 3).exits("Keep the ledger", 0);
    assert_eq!(job.outputs["stale"], "", "a failure is no stale plan");
    assert!(forge.ledger("larksub-state").contains("\"kind\":\"not_found\""));
    run.approve().ends(Success);
    assert!(!forge.begin().waits());
}

#[test]
fn a_wrong_secret_is_no_stale_plan() {
    let apps = vec!["cli_hr:another-secret".parse().unwrap()];
    let Some(forge) = Forge::new(Config { apps, ..Config::default() }) else { return };
    let pull = forge.removing(&[3]);
    forge.merge(pull);
    let job = forge.begin().approve().ends(Failure).exits("Apply", 6);
    assert_eq!((job.outputs["stale"].as_str(), forge.dispatched()), ("", 0), "{job}");
}

#[test]
fn a_ledger_that_cannot_be_pushed_is_rescued_and_stops_what_follows() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3]);
    forge.merge(pull);
    let run = forge.begin();
    // Somebody imports while the plan waits, and pushes after the job has read the ledger.
    let desk = forge.desk();
    git(&desk, &["fetch", "--quiet", "origin", "larksub-state"]);
    git(&desk, &["checkout", "--quiet", "FETCH_HEAD"]);
    fs::write(desk.join("larksub.toml"), forge.manifest(&[])).unwrap();
    forge.larksub(&desk, &["import", "--app", "hr", "NEWCOMER"]);
    git(&desk, &["add", "larksub.state.jsonl"]);
    git(&desk, &["commit", "--quiet", "--message", "import"]);
    let push = || git(&desk, &["push", "--quiet", "origin", "HEAD:refs/heads/larksub-state"]);
    let pushes = |_: &Path| {
        if !desk.join("pushed").exists() {
            // Behind the commit that says that the run begins.
            git(&desk, &["fetch", "--quiet", "origin", "larksub-state"]);
            git(&desk, &["rebase", "--quiet", "FETCH_HEAD"]);
            push();
            fs::write(desk.join("pushed"), "").unwrap();
        }
        false
    };
    let job = run.approve_and_cancel(Some(&pushes)).ends(Failure).exits("Apply", 0);
    let job = job.exits("Keep the ledger", 1).says(["::error title=larksub::The ledger could not be pushed"]);
    assert_eq!(forge.calls(), [code(3)], "{job}");
    let branches = forge.branches();
    let rescue = branches.iter().find(|name| name.starts_with("larksub-state-rescue-")).unwrap();
    assert!(forge.ledger(rescue).contains("\"kind\":\"unsubscribed\""));
    assert!(!forge.ledger("larksub-state").contains("\"kind\":\"unsubscribed\""), "nothing was overwritten");

    // Started again, the job has its approval already, and a ledger that knows nothing of the call.
    run.approve()
        .ends(Failure)
        .says(["state repair --merge"])
        .skips("Can the ledger be kept?")
        .skips("Apply");
    assert_eq!(forge.calls(), [code(3)], "nothing is sent twice");
    let blocked = forge.begin();
    assert!(!blocked.waits() && blocked.plan.said().contains("state repair --merge"), "{}", blocked.plan);

    // What the message says to do.
    git(&desk, &["fetch", "--quiet", "origin", rescue]);
    fs::write(desk.join("rescued.jsonl"), git(&desk, &["show", "FETCH_HEAD:larksub.state.jsonl"]) + "\n")
        .unwrap();
    forge.larksub(&desk, &["state", "repair", "--merge", "rescued.jsonl"]);
    git(&desk, &["add", "larksub.state.jsonl"]);
    git(&desk, &["commit", "--quiet", "--message", "merge"]);
    push();
    git(&desk, &["push", "--quiet", "origin", &format!(":refs/heads/{rescue}")]);
    let run = forge.begin();
    let said = run.plan.said();
    assert!(
        said.contains(&format!("1 of {TRACKED} tracked")) && said.contains("NEWCOMER"),
        "nothing else is left: {}",
        run.plan
    );
}

#[test]
fn a_ledger_that_can_be_pushed_nowhere_is_printed() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3]);
    forge.merge(pull);
    let run = forge.begin();
    let breaks = |_: &Path| {
        forge.refuse_pushes();
        false
    };
    let job = run.approve_and_cancel(Some(&breaks)).ends(Failure).exits("Keep the ledger", 1);
    let job = job.says(["base64 -d | gunzip"]);
    let said = &job.step("Keep the ledger").said;
    let printed = said.split("> larksub.state.jsonl\n").nth(1).unwrap();
    let file = forge.path("printed");
    fs::write(&file, printed).unwrap();
    let command = format!("base64 -d {} | gunzip", file.display());
    let output = std::process::Command::new("bash").args(["-c", &command]).output().unwrap();
    let ledger = String::from_utf8(output.stdout).unwrap();
    assert!(ledger.contains("\"kind\":\"unsubscribed\"") && ledger.ends_with("}\n"), "{printed}");
}

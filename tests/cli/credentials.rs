//! Where secrets come from, and that they go nowhere else.

use serde_json::json;

use super::support::encodings::{base64, forms, json as escaped, percent};
use super::support::{Answer, Platform, Request, Scratch, code, gateway, manifest};

const SECRET: &str = "s3cret/SENTINEL+app=1";
const TICKET: &str = "t1cket/SENTINEL+ticket=2";
const TOKEN: &str = "t-SENTINEL+token/3=";
const READY: &str = "t-SENTINEL+ready/4=";

/// `hr` and `fin`, each with one drop.
fn two_apps(url: &str) -> Scratch {
    let scratch = Scratch::new();
    let fin = format!("[apps.fin]\napp_id = \"cli_fin\"\nbase_url = \"{url}\"\n\n");
    let entry = format!("[[apps.fin.subscriptions]]\napproval_code = \"{}\"\n\n", code(2));
    scratch.write("larksub.toml", format!("{fin}{entry}{}", manifest(url, &[code(1)])));
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0);
    scratch.write("larksub.toml", fin + &manifest(url, &[] as &[&str]));
    scratch
}

/// Variables that are set, and what is said of them.
type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);

#[test]
fn what_is_missing_or_set_twice_is_1_and_named_and_nothing_is_sent() {
    let platform = Platform::start(&[code(1), code(2)], &[]);
    let cases: &[Case] = &[
        (
            &[],
            &[
                "no credential for custom app `fin`",
                "no credential for custom app `hr`",
                "LARKSUB_APP_SECRET_HR",
            ],
        ),
        (&[("LARKSUB_APP_SECRET_HR", "x")], &["no credential for custom app `fin`"]),
        (
            &[("LARKSUB_APP_SECRET", "x")],
            &[
                "LARKSUB_APP_SECRET does not say which of the manifest's 2 apps it belongs to",
                "LARKSUB_APP_SECRET_FIN",
            ],
        ),
        (
            &[("LARKSUB_APP_SECRET_HR", ""), ("LARKSUB_APP_SECRET_FIN", "x")],
            &["LARKSUB_APP_SECRET_HR is empty"],
        ),
        (
            &[
                ("LARKSUB_APP_SECRET_HR", "x"),
                ("LARKSUB_APP_SECRET_HR_FILE", "y"),
                ("LARKSUB_APP_SECRET_FIN", "x"),
            ],
            &["LARKSUB_APP_SECRET_HR and LARKSUB_APP_SECRET_HR_FILE are both set"],
        ),
        (
            &[
                ("LARKSUB_APP_SECRET_HR", "x"),
                ("LARKSUB_TENANT_ACCESS_TOKEN_HR", "t-x"),
                ("LARKSUB_APP_SECRET_FIN", "x"),
            ],
            &["LARKSUB_TENANT_ACCESS_TOKEN_HR and LARKSUB_APP_SECRET_HR are both set"],
        ),
        (
            &[
                ("LARKSUB_TENANT_ACCESS_TOKEN", "t-x"),
                ("LARKSUB_APP_SECRET_FIN", "x"),
                ("LARKSUB_APP_SECRET_HR", "x"),
            ],
            &["LARKSUB_TENANT_ACCESS_TOKEN does not say which app it belongs to"],
        ),
    ];
    for (set, says) in cases {
        let scratch = two_apps(&platform.url);
        for (variable, value) in *set {
            scratch.set(variable, value);
        }
        let before = scratch.state();
        let ran = scratch.run("apply --auto-approve");
        ran.exit(1).says(["no call was sent"]);
        for text in *says {
            ran.says([text]);
        }
        assert_eq!(scratch.state(), before);
        // A plan needs none of them, however wrong they are.
        scratch.run("plan").exit(0);
    }
    assert!(platform.log().is_empty());
}

#[test]
fn a_store_app_needs_its_ticket_and_a_ready_made_token_is_good_for_one_tenant() {
    let scratch = Scratch::new();
    let head = "[apps.isv]\napp_id = \"cli_isv\"\nbase_url = \"http://127.0.0.1:9\"\nkind = \"store\"\n";
    scratch.write("larksub.toml", head);
    scratch.run("init").exit(0);
    for tenant in ["acme", "bolt"] {
        scratch.run(&format!("import --app isv --tenant {tenant} {}", code(1))).exit(0);
    }
    scratch.set("LARKSUB_APP_SECRET", "x");
    scratch
        .run("apply --auto-approve")
        .exit(1)
        .says(["no app ticket for store app `isv`", "LARKSUB_APP_TICKET_ISV"]);
    scratch.unset("LARKSUB_APP_SECRET").set("LARKSUB_TENANT_ACCESS_TOKEN_ISV", "t-x");
    scratch
        .run("apply --auto-approve")
        .exit(1)
        .says(["is good for one tenant, and the calls of app `isv` touch 2"]);
}

#[test]
fn a_secret_in_a_file_is_read_without_its_line_break() {
    let platform = Platform::start(&[code(1)], &["--app", "cli_hr:the-secret"]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    scratch.unset("LARKSUB_APP_SECRET").set("LARKSUB_APP_SECRET_FILE", "secret.txt");
    scratch.run("apply --auto-approve").exit(1).says(["cannot use the secret in `secret.txt`"]);
    scratch.write("secret.txt", "\n");
    scratch.run("apply --auto-approve").exit(1).says(["it is empty"]);
    scratch.write("secret.txt", "the-secret\n");
    scratch.run("apply --auto-approve").exit(0);
}

#[test]
fn an_apply_without_calls_needs_neither_credential_nor_network() {
    let scratch = Scratch::tracking("http://127.0.0.1:9", &[code(1), code(2)]);
    scratch.unset("LARKSUB_APP_SECRET");
    let removed = format!("\n[[apps.hr.removed]]\napproval_code = \"{}\"\nforget = true\n", code(1));
    let named = manifest("http://127.0.0.1:9", &[code(2)]) + "name = \"New\"\n";
    scratch.write("larksub.toml", named + &removed);
    scratch.run("apply --auto-approve").exit(0).says(["1 forgotten, 1 updated"]);
    scratch.run("plan --detailed-exitcode").exit(0);
    let ledger = scratch.ledger();
    assert_eq!(ledger.ops().last().unwrap(), "end done");
}

#[test]
fn a_ready_made_token_does_not_prove_its_app_so_already_unsubscribed_is_not_believed() {
    let platform = Platform::start(&[code(1)], &["--fault", &format!("{}=already", code(1))]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    scratch.unset("LARKSUB_APP_SECRET").set("LARKSUB_TENANT_ACCESS_TOKEN_HR", &platform.token("cli_hr"));
    scratch
        .run("apply --auto-approve")
        .exit(3)
        .says(["a ready-made token does not prove its app", "--allow-misses"]);
    assert_eq!(scratch.ledger().kinds(&code(1)), ["failed"]);
    scratch.run("apply --auto-approve --allow-misses fin").exit(1).says(["--allow-misses names `fin`"]);
    scratch.run("apply --auto-approve --allow-misses hr").exit(0).says(["1 already unsubscribed"]);
    let given = json!([{ "flag": "allow-misses", "value": "hr" }]);
    assert_eq!(scratch.ledger().of("run")[1].record["overrides"], given);
}

#[test]
fn a_ready_made_token_that_is_refused_stops_the_app() {
    let platform = Platform::start(&[code(1)], &[]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    scratch.unset("LARKSUB_APP_SECRET").set("LARKSUB_TENANT_ACCESS_TOKEN_HR", "t-expired");
    scratch.run("apply --auto-approve").exit(6).says(["the ready-made tenant token of app `hr` was refused"]);
    scratch.set("LARKSUB_TENANT_ACCESS_TOKEN_HR", "two words");
    scratch.run("apply --auto-approve").exit(6).never_says(["two words"]);
}

/// How something echoes what it was sent.
type Echo = fn(&str) -> String;

const ECHOES: [(&str, Echo); 4] = [
    ("raw", |text| text.to_owned()),
    ("escaped", |text| escaped(text)),
    ("percent", |text| percent(text)),
    ("base64", |text| base64(text.as_bytes())),
];

/// An answer that quotes all of its request wherever text can stand.
fn quoting(request: &Request, code: i64, echo: Echo) -> Answer {
    let quoted = format!("{} {}", echo(&request.body), echo(&request.head));
    let body = json!({
        "code": code, "msg": quoted,
        "error": {
            "log_id": quoted, "troubleshooter": quoted,
            "permission_violations": [{ "type": "x", "subject": quoted }],
        },
    });
    let line = quoted.replace(['\r', '\n'], " ");
    (400, vec![("X-Tt-Logid", line.clone()), ("x-ogw-ratelimit-reset", line)], body.to_string())
}

fn all_forms() -> Vec<String> {
    [SECRET, TICKET, TOKEN, READY, "SENTINEL"].iter().flat_map(|secret| forms(secret)).collect()
}

#[test]
fn a_secret_stands_in_no_output_and_no_file_even_where_the_platform_echoes_it() {
    for (name, echo) in ECHOES {
        // Each code of the token's and the call's refusals that is treated in a way of its own.
        for answered in [10014, 10003, 99991672, 99991401, 1390001, 1390002, 12345] {
            let url = gateway(move |request| quoting(request, answered, echo));
            let scratch = Scratch::dropping(&url, &[code(1)], &[]);
            scratch.set("LARKSUB_APP_SECRET", SECRET);
            scratch.run("-vv apply --auto-approve").exit(6);
            scratch.run("-vv apply --auto-approve --format json").exit(6);
            scratch.nowhere(&all_forms());

            let url = gateway(move |request| match request.path.contains("/auth/") {
                true => (
                    200,
                    Vec::new(),
                    json!({ "code": 0, "tenant_access_token": TOKEN, "expire": 7200 }).to_string(),
                ),
                false => quoting(request, answered, echo),
            });
            let scratch = Scratch::dropping(&url, &[code(1)], &[]);
            scratch.set("LARKSUB_APP_SECRET", SECRET);
            scratch.run("-vv plan --out plan.json").exit(0);
            let ran = scratch.run("-vv apply plan.json");
            assert!(matches!(ran.status, Some(3 | 6)), "{name}: {ran}");
            scratch.run("-vv show").exit(0);
            scratch.run(&format!("-vv state show hr/{}", code(1))).exit(0);
            scratch.run("-vv apply --auto-approve --format json");
            scratch.unset("LARKSUB_APP_SECRET").set("LARKSUB_TENANT_ACCESS_TOKEN_HR", READY);
            scratch.run("-vv apply --auto-approve");
            scratch.nowhere(&all_forms());
        }
    }
}

#[test]
fn a_store_apps_ticket_and_tokens_stand_nowhere_either() {
    for (_, echo) in ECHOES {
        for silent in ["/app_access_token", "/tenant_access_token", "none"] {
            let url = gateway(move |request| {
                let issued = |name: &str| {
                    (
                        200,
                        Vec::new(),
                        json!({ "code": 0, name: format!("{TOKEN}{name}"), "expire": 7200 }).to_string(),
                    )
                };
                match request.path.as_str() {
                    path if path.ends_with(silent) => quoting(request, 10012, echo),
                    path if path.ends_with("/app_access_token") => issued("app_access_token"),
                    path if path.ends_with("/tenant_access_token") => issued("tenant_access_token"),
                    _ => quoting(request, 1390001, echo),
                }
            });
            let scratch = Scratch::new();
            let head = format!("[apps.isv]\napp_id = \"cli_isv\"\nbase_url = \"{url}\"\nkind = \"store\"\n");
            scratch.write("larksub.toml", head);
            scratch.run("init").exit(0);
            scratch.run(&format!("import --app isv --tenant acme {}", code(1))).exit(0);
            scratch.set("LARKSUB_APP_SECRET", SECRET).set("LARKSUB_APP_TICKET", TICKET);
            scratch.run("-vv apply --auto-approve");
            scratch.run("-vv apply --auto-approve --format json");
            scratch.nowhere(&all_forms());
        }
    }
}

#[test]
fn a_secret_that_is_wrong_in_itself_is_not_quoted() {
    let scratch = Scratch::dropping("http://127.0.0.1:9", &[code(1)], &[]);
    scratch.unset("LARKSUB_APP_SECRET");
    scratch.write("secret.bin", [b"SENTINEL".as_slice(), b"\xff\xfe"].concat());
    scratch.set("LARKSUB_APP_SECRET_FILE", "secret.bin");
    scratch.run("-vv apply --auto-approve").exit(1);
    scratch.unset("LARKSUB_APP_SECRET_FILE").set("LARKSUB_TENANT_ACCESS_TOKEN_HR", "SENTINEL with spaces");
    scratch.run("-vv apply --auto-approve").exit(6);
    std::fs::remove_file(scratch.path("secret.bin")).unwrap();
    scratch.nowhere(&["SENTINEL".into()]);
}

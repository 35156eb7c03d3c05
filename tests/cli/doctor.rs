//! The doctor: everything in one run, and no secret to anybody who is not vouched for.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::support::{Platform, Scratch, code, gateway, manifest};

const SECRET: &str = "s3ntinel-secret-of-the-app";

fn found<'a>(document: &'a Value, check: &str) -> &'a Value {
    let checks = document["checks"].as_array().unwrap();
    checks.iter().find(|found| found["check"] == check).unwrap_or_else(|| panic!("{check}: {document:#}"))
}

fn is(document: &Value, check: &str, result: &str, says: &str) {
    let found = found(document, check);
    assert_eq!(found["result"], result, "{found:#}");
    let text = found.to_string();
    assert!(text.contains(says), "`{says}` is not said: {text}");
}

#[test]
fn where_all_is_well_each_check_is_a_line_and_only_a_token_is_asked_for() {
    let platform = Platform::start(&[code(1)], &[]);
    let scratch = Scratch::tracking(&platform.url, &[code(1)]);
    scratch.set("LARKSUB_APP_SECRET", SECRET);
    let before = scratch.state();
    let ran = scratch.run("doctor");
    ran.exit(0).says([
        "ok    manifest",
        "ok    state",
        "ok    lock",
        "ok    token         hr: ",
        "ok    clock",
        "skip  certificates",
        " 0 failed",
    ]);
    assert_eq!(scratch.state(), before);
    let log = platform.log();
    assert_eq!(log, ["POST /open-apis/auth/v3/tenant_access_token/internal → 200 0"]);
    let document = scratch.run("doctor --format json").json();
    assert_eq!(
        (&document["format"], &document["version"], &document["exit_code"]),
        (&"larksub.doctor".into(), &1.into(), &0.into())
    );
    is(&document, "permissions", "ok", "0600");
    let token = platform.token("cli_hr");
    scratch.nowhere(&[SECRET.to_owned(), token]);
}

#[test]
fn a_secret_goes_to_no_place_that_a_manifest_alone_names() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let url = gateway(|_| {
        ASKED.fetch_add(1, Ordering::SeqCst);
        (200, Vec::new(), "{}".into())
    });
    let scratch = Scratch::new();
    scratch.write("larksub.toml", manifest(&url, &[code(1)]));
    scratch.run("init").exit(0);
    scratch.set("LARKSUB_APP_SECRET", SECRET);
    let ran = scratch.run("doctor");
    ran.exit(0).says(["warn  token", "the secret was not sent", "larksub import"]);
    // Another app that the state has is no reference for this one.
    scratch.run(&format!("import --app hr {}", code(1))).exit(0);
    scratch.write("larksub.toml", scratch.text("larksub.toml").replace("cli_hr", "cli_evil"));
    scratch.run("doctor").exit(1).says(["FAIL  app", "warn  token"]);
    let ran = scratch.run("import --app hr --names");
    ran.exit(0).says(["nothing was asked"]);
    scratch.write("larksub.toml", scratch.text("larksub.toml").replace("apps.hr", "apps.evil"));
    scratch.run(&format!("import --app evil {} --names", code(2))).exit(4).says(["no secret was sent there"]);
    // Without a state nothing vouches for it either.
    std::fs::remove_file(scratch.path("larksub.state.jsonl")).unwrap();
    scratch.run("doctor").exit(1).says(["FAIL  state", "warn  token"]);
    assert_eq!(ASKED.load(Ordering::SeqCst), 0, "nobody was asked");
}

#[test]
fn everything_that_is_wrong_is_told_in_one_run() {
    let scratch = Scratch::new();
    let ran = scratch.run("doctor");
    ran.exit(1).says([
        "FAIL  manifest      there is no manifest",
        "FAIL  state         there is no state",
        "larksub init",
        "skip  token",
    ]);
    scratch.write("larksub.toml", "[apps.hr]\napp_id = 5\n");
    scratch.write("larksub.state.jsonl", "");
    let ran = scratch.run("doctor");
    ran.exit(1).says(["2 problems", "larksub validate", "it is empty", "2 failed"]);
    scratch.set("LARKSUB_STATE", "");
    scratch.run("doctor").exit(1).says(["its path is empty"]);
    assert_eq!(scratch.text("larksub.state.jsonl"), "");
}

#[test]
fn offline_asks_nobody_and_needs_no_secret() {
    let scratch = Scratch::tracking("http://127.0.0.1:9", &[code(1)]);
    scratch.unset("LARKSUB_APP_SECRET");
    scratch.run("doctor --offline").exit(0).says(["skip  token", "--offline", " 0 failed"]);
    let ran = scratch.run("doctor");
    ran.exit(1).says(["FAIL  credential", "LARKSUB_APP_SECRET", "skip  token"]);
    scratch.set("LARKSUB_APP_SECRET_FILE", "nowhere");
    scratch.run("doctor").exit(1).says(["FAIL  credential", "nowhere"]);
}

#[test]
fn what_is_wrong_with_the_state_is_told_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::tracking("http://127.0.0.1:9", &[code(1)]);
    let whole = scratch.state();
    scratch.write("larksub.state.jsonl", [whole.as_slice(), b"{\"seq\":9"].concat());
    let path = scratch.path("larksub.state.jsonl");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let document = scratch.run("doctor --offline --format json").json();
    is(&document, "tail", "warn", "8 bytes");
    is(&document, "permissions", "warn", "chmod 600");
    // Another one holds the lock.
    let file = std::fs::File::open(&path).unwrap();
    file.lock().unwrap();
    is(&scratch.run("doctor --offline --format json").json(), "lock", "warn", "is locked");
    drop(file);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    is(&scratch.run("doctor --offline --format json").json(), "permissions", "ok", "0644");
    // An app that is tracked and has no section.
    scratch.write("larksub.toml", manifest::<&str>("http://127.0.0.1:9", &[]).replace("hr", "fin"));
    let ran = scratch.run("doctor --offline");
    ran.exit(1).says(["hr: tracked in the state, and without a section", "manifest from-state"]);
}

#[test]
fn a_proxy_is_named_without_its_password() {
    let scratch = Scratch::tracking("http://127.0.0.1:9", &[code(1)]);
    scratch
        .set("HTTPS_PROXY", "http://joe:s3ntinel-pw@proxy.example:3128")
        .set("NO_PROXY", "localhost,\u{202e}x");
    let ran = scratch.run("doctor --offline");
    ran.exit(0).says(["ok    proxy", "HTTPS_PROXY http://proxy.example:3128; NO_PROXY localhost,\\u{202e}x"]);
    scratch.write("larksub.toml", "[apps.hr]\napp_id = \"cli_hr\"\nbrand = \"feishu\"\n");
    scratch.set("HTTPS_PROXY", "ftp://joe:s3ntinel-pw@proxy");
    let ran = scratch.run("doctor --offline");
    ran.exit(1).says(["FAIL  proxy", "HTTPS_PROXY is no address of an http proxy", "skip  certificates"]);
    ran.never_says(["ok    proxy", "FAIL  certificates"]);
    scratch.set("HTTPS_PROXY", "socks5://joe:s3ntinel-pw@proxy");
    scratch.run("doctor --offline").exit(1).says(["FAIL  proxy"]);
    scratch.unset("HTTPS_PROXY");
    scratch.set("SSL_CERT_FILE", "/nope\u{1b}[2J");
    let says =
        ["FAIL  certificates", "SSL_CERT_FILE names `/nope\\u{1b}[2J`, where no certificate can be read"];
    scratch.run("doctor --offline").exit(1).says(says).never_says(["name a PEM file with SSL_CERT_FILE"]);
    scratch.unset("SSL_CERT_FILE");
    scratch.write("ca.pem", "not pem");
    scratch
        .run("doctor --offline --ca-bundle ca.pem")
        .exit(1)
        .says(["FAIL  certificates", "holds no certificate"]);
    scratch.nowhere(&["s3ntinel-pw".to_owned()]);
}

#[test]
fn what_the_platform_refuses_and_the_time_it_tells_are_said() {
    static HEAD: Mutex<&str> = Mutex::new("Sun, 22 Nov 2020 23:10:37 GMT");
    let url = gateway(|_| {
        let date = *HEAD.lock().unwrap();
        (
            200,
            vec![("Date", date.to_owned())],
            r#"{"code":10014,"msg":"app secret invalid \u001b[31m s3ntinel-secret-of-the-app"}"#.into(),
        )
    });
    let scratch = Scratch::tracking(&url, &[code(1)]);
    scratch.set("LARKSUB_APP_SECRET", SECRET);
    let ran = scratch.run("doctor");
    ran.exit(1).says([
        "FAIL  token",
        "10014",
        "compare app id, secret",
        "FAIL  clock",
        "s ahead of the platform's",
        "NTP",
    ]);
    ran.never_says(["\u{1b}"]);
    scratch.nowhere(&[SECRET.to_owned()]);
    *HEAD.lock().unwrap() = "yesterday";
    scratch.run("doctor").exit(1).says(["skip  clock"]);
}

/// Waits for the pauses between three tries.
pub fn a_platform_that_cannot_be_reached_is_said_in_plain_words() {
    // A port that nobody listens on any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let scratch = Scratch::tracking(&format!("http://127.0.0.1:{port}"), &[code(1)]);
    scratch.run("doctor").exit(1).says(["FAIL  token", "nothing answers at"]);
}

#[test]
fn a_place_that_changed_is_told_once_and_with_one_advice() {
    let scratch = Scratch::tracking("http://127.0.0.1:9", &[code(1)]);
    scratch.write("larksub.toml", manifest("http://127.0.0.1:10", &[code(1)]));
    let ran = scratch.run("doctor --offline");
    ran.exit(1)
        .says(["the same app id at http://127.0.0.1:9 in the state, at http://127.0.0.1:10 in the manifest"]);
    ran.says(["write `base_url = \"http://127.0.0.1:9\"`", " 1 failed"]).never_says(["without a section"]);
}

#[test]
fn a_secret_with_a_line_break_is_not_found_to_be_right() {
    let scratch = Scratch::tracking("http://127.0.0.1:9", &[code(1)]);
    scratch.set("LARKSUB_APP_SECRET", "s3ntinel-secret\n");
    let ran = scratch.run("doctor");
    ran.exit(1).says(["FAIL  credential", "LARKSUB_APP_SECRET holds more than one line", "skip  token"]);
    scratch.nowhere(&["s3ntinel-secret".to_owned()]);
}

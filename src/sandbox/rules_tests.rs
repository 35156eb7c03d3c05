use super::super::Subscribed;
use super::super::quota::Window;
use super::super::reply::LOG_ID;
use super::*;

const CODE: &str = "7C468A54-8745-2245-9675-08B7C63E7A85";

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn sandbox(subscribed: &[&str], faults: &[&str]) -> Rules {
    Rules::new(Config {
        subscribed: subscribed.iter().map(|text| text.parse().unwrap()).collect(),
        faults: faults.iter().map(|text| text.parse().unwrap()).collect(),
        ..Config::default()
    })
}

fn with_apps(apps: &[&str]) -> Rules {
    let apps = apps.iter().map(|text| text.parse().unwrap()).collect();
    Rules::new(Config { apps, ..Config::default() })
}

fn post_json(rules: &mut Rules, now: Duration, path: &str, json: Value) -> Value {
    let path = format!("/open-apis/auth/v3/{path}");
    let body = json.to_string();
    let reply = rules
        .answer(now, &Request { method: "POST", path: &path, authorization: None, body: body.as_bytes() });
    assert_eq!(reply.status, 200, "the calls that give tokens say no in the body only");
    serde_json::from_slice(&reply.body).unwrap()
}

fn tenant_token(rules: &mut Rules, now: Duration) -> String {
    let json = json!({ "app_id": "cli_a", "app_secret": "s" });
    let body = post_json(rules, now, "tenant_access_token/internal", json);
    body["tenant_access_token"].as_str().unwrap().to_owned()
}

fn call(rules: &mut Rules, now: Duration, method: &str, end: &str, authorization: Option<&str>) -> Reply {
    let path = format!("/open-apis/approval/v4/approvals/{end}");
    rules.answer(now, &Request { method, path: &path, authorization, body: b"" })
}

fn unsubscribe(rules: &mut Rules, now: Duration, code: &str) -> Reply {
    let bearer = format!("Bearer {}", tenant_token(rules, now));
    call(rules, now, "POST", &format!("{code}/unsubscribe"), Some(&bearer))
}

fn subscribe(rules: &mut Rules, now: Duration, code: &str) -> Reply {
    let bearer = format!("Bearer {}", tenant_token(rules, now));
    call(rules, now, "POST", &format!("{code}/subscribe"), Some(&bearer))
}

fn status_and_code(reply: &Reply) -> (u16, Option<i64>) {
    (reply.call.status, reply.call.code)
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_subscription_ends_once_and_begins_once() {
    let mut rules = sandbox(&[CODE], &[]);
    for (asked, expected) in [
        ("unsubscribe", (200, Some(0))),
        ("unsubscribe", (400, Some(1390007))),
        ("subscribe", (200, Some(0))),
        ("subscribe", (400, Some(1390007))),
    ] {
        let reply = match asked {
            "subscribe" => subscribe(&mut rules, at(0), CODE),
            _ => unsubscribe(&mut rules, at(0), CODE),
        };
        assert_eq!(status_and_code(&reply), expected, "{asked}");
    }
}

#[test]
fn an_unknown_code_exists_once_it_is_subscribed() {
    let mut rules = sandbox(&[], &[]);
    assert_eq!(status_and_code(&unsubscribe(&mut rules, at(0), "X")), (400, Some(1390002)));
    let bearer = format!("Bearer {}", tenant_token(&mut rules, at(0)));
    assert_eq!(status_and_code(&call(&mut rules, at(0), "GET", "X", Some(&bearer))), (400, Some(1390002)));
    assert_eq!(status_and_code(&subscribe(&mut rules, at(0), "X")), (200, Some(0)));
    assert_eq!(status_and_code(&unsubscribe(&mut rules, at(0), "X")), (200, Some(0)));
    let read = call(&mut rules, at(0), "GET", "X", Some(&bearer));
    let body: Value = serde_json::from_slice(&read.body).unwrap();
    assert_eq!(
        (&body["data"]["approval_name"], &body["data"]["status"]),
        (&json!("Approval X"), &json!("ACTIVE"))
    );
}

#[test]
fn bodies_and_headers_have_the_documented_form() {
    let mut rules = sandbox(&[CODE], &[]);
    let done = unsubscribe(&mut rules, at(0), CODE);
    let body: Value = serde_json::from_slice(&done.body).unwrap();
    assert_eq!(body, json!({ "code": 0, "msg": "success", "data": {} }));
    let again = unsubscribe(&mut rules, at(0), CODE);
    let body: Value = serde_json::from_slice(&again.body).unwrap();
    let log_id = header(&again, LOG_ID).unwrap();
    assert_eq!(body["msg"], "subscription existed");
    assert_eq!(body["error"]["log_id"], log_id);
    assert!(body["error"]["troubleshooter"].as_str().unwrap().contains(log_id));
    assert_ne!(header(&done, LOG_ID), header(&again, LOG_ID));
    assert_eq!(header(&done, "content-type"), Some("application/json; charset=utf-8"));
}

#[test]
fn each_wrong_authorization_has_its_own_code() {
    let mut rules = sandbox(&[CODE], &[]);
    let old = tenant_token(&mut rules, at(0));
    let store = json!({ "app_id": "cli_s", "app_secret": "s", "app_ticket": "t" });
    let app = post_json(&mut rules, at(0), "app_access_token", store);
    let app = app["app_access_token"].as_str().unwrap().to_owned();
    assert!(app.starts_with("a-"));
    let end = format!("{CODE}/unsubscribe");
    for (authorization, expected) in [
        (None, 99991661),
        (Some(String::new()), 99991661),
        (Some("Bearer".to_owned()), 99991661),
        (Some("Bearer ".to_owned()), 99991661),
        (Some(old.clone()), 99991671),
        (Some(format!("Basic {old}")), 99991671),
        (Some("Bearer 7f1bcd".to_owned()), 99991671),
        (Some("Bearer t-7f1bcd".to_owned()), 99991663),
        (Some(format!("Bearer {old}x")), 99991663),
        (Some(format!("Bearer {app}")), 99991664),
        (Some("Bearer u-7f1bcd".to_owned()), 99991668),
    ] {
        let reply = call(&mut rules, at(7199), "POST", &end, authorization.as_deref());
        assert_eq!(status_and_code(&reply), (400, Some(expected)), "{authorization:?}");
    }
    let expired = call(&mut rules, at(7200), "POST", &end, Some(&format!("Bearer {old}")));
    assert_eq!(status_and_code(&expired), (400, Some(99991663)));
    let valid = call(&mut rules, at(7199), "POST", &end, Some(&format!("bearer {old}")));
    assert_eq!(status_and_code(&valid), (200, Some(0)));
}

#[test]
fn each_wrong_credential_has_its_own_code() {
    let mut rules = with_apps(&["cli_c:cs", "cli_s:ss:st"]);
    for (path, json, expected) in [
        ("tenant_access_token/internal", json!({ "app_id": "cli_c", "app_secret": "cs" }), 0),
        ("tenant_access_token/internal", json!({ "app_id": "cli_x", "app_secret": "cs" }), 10003),
        ("tenant_access_token/internal", json!({ "app_id": "", "app_secret": "cs" }), 10003),
        ("tenant_access_token/internal", json!({ "app_id": "cli_c", "app_secret": "" }), 10014),
        ("tenant_access_token/internal", json!({ "app_id": "cli_c", "app_secret": "ss" }), 10014),
        ("tenant_access_token/internal", json!({ "app_id": "cli_s", "app_secret": "ss" }), 10005),
        ("tenant_access_token/internal", json!({ "app_id": 7 }), 10003),
        ("tenant_access_token/internal", json!([]), 10003),
        ("app_access_token", json!({ "app_id": "cli_s", "app_secret": "ss", "app_ticket": "st" }), 0),
        ("app_access_token", json!({ "app_id": "cli_s", "app_secret": "ss", "app_ticket": "x" }), 10012),
        ("app_access_token", json!({ "app_id": "cli_s", "app_secret": "ss" }), 10012),
        ("app_access_token", json!({ "app_id": "cli_c", "app_secret": "cs", "app_ticket": "st" }), 10005),
        ("app_ticket/resend", json!({ "app_id": "cli_s", "app_secret": "ss" }), 0),
        ("app_ticket/resend", json!({ "app_id": "cli_s", "app_secret": "cs" }), 10014),
        ("app_ticket/resend", json!({ "app_id": "cli_c", "app_secret": "cs" }), 10005),
        ("tenant_access_token", json!({ "app_access_token": "a-x", "tenant_key": "t" }), 10013),
        ("tenant_access_token", json!({ "tenant_key": "t" }), 10013),
    ] {
        let body = post_json(&mut rules, at(0), path, json.clone());
        assert_eq!(body["code"], expected, "{path} {json}");
    }
}

#[test]
fn without_named_apps_any_secret_and_ticket_will_do_but_not_none() {
    let mut rules = sandbox(&[], &[]);
    for (path, json, expected) in [
        ("tenant_access_token/internal", json!({ "app_id": "anything", "app_secret": "x" }), 0),
        ("tenant_access_token/internal", json!({ "app_id": "anything", "app_secret": "" }), 10014),
        ("tenant_access_token/internal", json!({ "app_id": "any thing", "app_secret": "x" }), 10003),
        ("app_access_token", json!({ "app_id": "anything", "app_secret": "x", "app_ticket": "y" }), 0),
        ("app_access_token", json!({ "app_id": "anything", "app_secret": "x" }), 10012),
    ] {
        assert_eq!(post_json(&mut rules, at(0), path, json.clone())["code"], expected, "{path} {json}");
    }
    let path = "/open-apis/auth/v3/tenant_access_token/internal";
    for (body, expected) in [
        (&br#"{"app_id":"a","app_secret":"s","app_ticket":null,"more":[1]}"#[..], 0),
        (br#"{"app_id":"a","app_secret":null}"#, 10014),
        (br#"{"app_id":"a","app_secret":"s""#, 10003),
        (b"app_id=a&app_secret=s", 10003),
        (b"\xff", 10003),
        (b"", 10003),
    ] {
        let request = Request { method: "POST", path, authorization: None, body };
        let code = rules.answer(at(0), &request).call.code;
        assert_eq!(code, Some(expected), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_store_app_has_a_token_for_each_tenant() {
    let mut rules = Rules::new(Config {
        apps: vec!["cli_s:ss:st".parse().unwrap()],
        subscribed: vec!["cli_s/t1/X".parse().unwrap()],
        ..Config::default()
    });
    let asked = json!({ "app_id": "cli_s", "app_secret": "ss", "app_ticket": "st" });
    let app = post_json(&mut rules, at(0), "app_access_token", asked);
    let tokens: Vec<String> = ["t1", "t2"]
        .map(|tenant| {
            let asked = json!({ "app_access_token": app["app_access_token"], "tenant_key": tenant });
            let body = post_json(&mut rules, at(0), "tenant_access_token", asked);
            assert_eq!(body["expire"], 7200);
            format!("Bearer {}", body["tenant_access_token"].as_str().unwrap())
        })
        .into();
    let other = call(&mut rules, at(0), "POST", "X/unsubscribe", Some(&tokens[1]));
    assert_eq!(status_and_code(&other), (400, Some(1390002)));
    let own = call(&mut rules, at(0), "POST", "X/unsubscribe", Some(&tokens[0]));
    assert_eq!(status_and_code(&own), (200, Some(0)));
    assert_eq!(own.call.tenant_key.as_ref().map(|key| key.as_str()), Some("t1"));
    let asked = json!({ "app_access_token": app["app_access_token"], "tenant_key": "" });
    assert_eq!(post_json(&mut rules, at(0), "tenant_access_token", asked)["code"], 10003);
    // A tenant token is not an app token.
    let asked = json!({ "app_access_token": tokens[0].trim_start_matches("Bearer "), "tenant_key": "t1" });
    assert_eq!(post_json(&mut rules, at(0), "tenant_access_token", asked)["code"], 10013);
}

#[test]
fn the_call_after_the_hundredth_is_refused_with_a_countdown() {
    for window in [Window::Fixed, Window::Sliding] {
        let mut rules = Rules::new(Config { window, ..Config::default() });
        for n in 0..100 {
            assert_eq!(subscribe(&mut rules, at(1), &format!("X-{n}")).call.code, Some(0), "{window:?} {n}");
        }
        for (now, reset) in [(1, "60"), (2, "59"), (60, "1")] {
            let over = subscribe(&mut rules, at(now), "Y");
            assert_eq!(status_and_code(&over), (429, Some(99991400)), "{window:?}");
            assert_eq!(header(&over, RATE_LIMIT), Some("100"));
            assert_eq!(header(&over, RATE_LIMIT_RESET), Some(reset), "{window:?}");
        }
        // Another API has a quota of its own, and a refused call did not happen.
        assert_eq!(unsubscribe(&mut rules, at(60), "Y").call.code, Some(1390002), "{window:?}");
        assert_eq!(subscribe(&mut rules, at(61), "Y").call.code, Some(0), "{window:?}");
    }
}

#[test]
fn a_fault_is_used_up_and_then_the_truth_returns() {
    for (fault, expected) in [
        ("not_found", (400, Some(1390002))),
        ("already", (400, Some(1390007))),
        ("param", (400, Some(1390001))),
        ("service_error", (400, Some(1395001))),
        ("rate_limit", (429, Some(99991400))),
        ("rate_limit_400", (400, Some(99991400))),
        ("monthly", (400, Some(99991403))),
        ("token", (400, Some(99991663))),
        ("scope", (400, Some(99991672))),
        ("ip", (400, Some(99991401))),
        ("disabled", (400, Some(99991662))),
        ("uninstalled", (400, Some(99991673))),
        ("5xx", (503, None)),
        ("html", (200, None)),
        ("redirect", (302, None)),
        ("reset", (0, None)),
    ] {
        let mut rules = sandbox(&[CODE], &[&format!("{CODE}={fault}:2")]);
        for _ in 0..2 {
            assert_eq!(status_and_code(&unsubscribe(&mut rules, at(0), CODE)), expected, "{fault}");
        }
        assert_eq!(status_and_code(&unsubscribe(&mut rules, at(0), CODE)), (200, Some(0)), "{fault}");
    }
    let mut rules = sandbox(&[CODE], &["*=rate_limit:1"]);
    assert_eq!(header(&unsubscribe(&mut rules, at(0), CODE), RATE_LIMIT_RESET), Some("1"));
}

#[test]
fn a_fault_that_spoils_the_answer_still_does_what_was_asked() {
    for fault in ["empty", "string_code", "huge", "slow", "cut", "lost"] {
        let mut rules = sandbox(&[CODE], &[&format!("{CODE}={fault}:1")]);
        let spoilt = unsubscribe(&mut rules, at(0), CODE);
        assert_eq!(spoilt.call.status, 200, "{fault}");
        assert_eq!(spoilt.call.fault.map(|what| what.to_string()).as_deref(), Some(fault));
        assert_eq!(status_and_code(&unsubscribe(&mut rules, at(0), CODE)), (400, Some(1390007)), "{fault}");
    }
}

#[test]
fn a_fault_waits_for_a_call_that_would_otherwise_count() {
    let mut rules = sandbox(&[CODE], &[&format!("{CODE}=lost:1")]);
    let refused = call(&mut rules, at(0), "POST", &format!("{CODE}/unsubscribe"), Some("Bearer t-x"));
    assert_eq!((refused.call.code, refused.call.fault), (Some(99991663), None));
    assert_eq!(unsubscribe(&mut rules, at(0), CODE).behaviour, Behaviour::Reset);
}

#[test]
fn what_is_no_call_is_not_found() {
    let mut rules = sandbox(&[CODE], &[]);
    let bearer = format!("Bearer {}", tenant_token(&mut rules, at(0)));
    for (method, path) in
        [("GET", "/"), ("POST", "/open-apis/"), ("DELETE", "/open-apis/auth/v3/app_access_token")]
    {
        let request = Request { method, path, authorization: Some(&bearer), body: b"" };
        let reply = rules.answer(at(0), &request);
        assert_eq!(
            (reply.status, reply.body.as_slice()),
            (404, &b"404 page not found"[..]),
            "{method} {path}"
        );
        assert!(header(&reply, LOG_ID).is_some());
    }
    for code in ["", "a_b", "%41", "X%2FY", &"x".repeat(65), "审批"] {
        let reply = call(&mut rules, at(0), "POST", &format!("{code}/unsubscribe"), Some(&bearer));
        assert_eq!(status_and_code(&reply), (400, Some(1390001)), "{code:?}");
    }
}

#[test]
fn the_same_seed_and_calls_give_the_same_sandbox() {
    let run = || {
        let mut rules = sandbox(&[CODE], &[]);
        let token = tenant_token(&mut rules, at(0));
        let reply = unsubscribe(&mut rules, at(1), CODE);
        (token, reply.headers, rules.draw_latency())
    };
    assert_eq!(run(), run());
}

#[test]
fn the_log_says_who_asked_what_and_when() {
    let mut rules = sandbox(&[CODE], &[]);
    unsubscribe(&mut rules, at(3), CODE);
    let [token, call] = rules.calls() else { panic!("{:?}", rules.calls()) };
    assert_eq!((token.at, token.api, token.status), (at(3), Some(Api::CustomTenantToken), 200));
    assert_eq!((call.at, call.api, call.code), (at(3), Some(Api::Unsubscribe), Some(0)));
    assert_eq!(call.app_id.as_ref().map(AppId::as_str), Some("cli_a"));
    assert_eq!(call.approval_code.as_ref().map(ApprovalCode::as_str), Some(CODE));
    let Subscribed::By(one) = format!("cli_a/{CODE}").parse().unwrap() else { panic!() };
    assert!(!rules.is_subscribed(&one));
}

use super::*;
use crate::subscription::BaseUrl;
use secrecy::ExposeSecret as _;

fn response(status: u16, body: &str) -> Result<Response, NoAnswer> {
    Ok(Response { status, body: body.as_bytes().to_vec(), ..Response::default() })
}

fn place() -> BaseUrl {
    "http://127.0.0.1:1".parse().unwrap()
}

fn limited(seconds: u64) -> Verdict {
    Verdict::RateLimited { reset: Duration::from_secs(seconds) }
}

const TENANT: StopScope = StopScope::Tenant;
const APP: StopScope = StopScope::App;

#[test]
fn every_documented_code_has_its_verdict() {
    let any = &[200, 400, 401, 403][..];
    let token = Verdict::TokenRefused;
    let stop = Verdict::Stop;
    let table: &[(&[u16], i64, Verdict)] = &[
        (&[200], 0, Verdict::Done),
        (&[200, 400], 1390001, Verdict::Refused),
        (&[200, 400], 1390002, Verdict::NotFound),
        (&[200, 400], 1390007, Verdict::AlreadyDone),
        (&[200, 400], 1395001, Verdict::NoVerdict(Lost::ServiceError(1395001))),
        (&[429, 400], 99991400, limited(10)),
        (any, 99991661, token.clone()),
        (any, 99991663, token.clone()),
        (any, 99991664, token.clone()),
        (any, 99991665, token.clone()),
        (any, 99991668, token.clone()),
        (any, 99991671, token.clone()),
        (any, 20013, token),
        (any, 99991672, stop(APP, StopReason::Scope)),
        (any, 99991676, stop(APP, StopReason::Scope)),
        (any, 99991679, stop(APP, StopReason::Scope)),
        (any, 99991401, stop(APP, StopReason::Ip)),
        (&[200, 400, 429], 99991403, stop(TENANT, StopReason::MonthlyCap)),
        (any, 99991662, stop(APP, StopReason::AppDisabled)),
        (any, 99991673, stop(TENANT, StopReason::NotInstalled)),
        (any, 20009, stop(TENANT, StopReason::NotInstalled)),
        (any, 10003, stop(APP, StopReason::Credential)),
        (any, 10005, stop(APP, StopReason::Credential)),
        (any, 10012, stop(APP, StopReason::Credential)),
        (any, 10013, stop(APP, StopReason::Credential)),
        (any, 10014, stop(APP, StopReason::Credential)),
        (any, 10015, stop(APP, StopReason::Credential)),
        (any, 20002, stop(APP, StopReason::Credential)),
        (any, 99991543, stop(APP, StopReason::Credential)),
        (any, 1000004, limited(10)),
        (any, 1000005, limited(10)),
        (any, 1500, Verdict::NoVerdict(Lost::PlatformError(1500))),
        (any, 1000003, Verdict::NoVerdict(Lost::PlatformError(1000003))),
        (any, 4242, Verdict::Refused),
        (any, -1, Verdict::Refused),
    ];
    for (statuses, code, verdict) in table {
        for status in *statuses {
            let judged = judge(&response(*status, &format!(r#"{{"code":{code},"msg":"m"}}"#)));
            assert_eq!(&judged.verdict, verdict, "HTTP {status}, code {code}");
            assert_eq!(judged.code, Some(*code));
            assert_eq!(judged.msg.as_deref(), Some("m"));
            assert_eq!(judged.http_status, Some(*status));
        }
        let failed = judge(&response(502, &format!(r#"{{"code":{code}}}"#)));
        assert_eq!(failed.verdict, Verdict::NoVerdict(Lost::ServerError(502)), "HTTP 502, code {code}");
    }
}

#[test]
fn what_is_not_documented_is_never_a_success() {
    let deep = format!(r#"{{"code":0,"msg":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    for body in [
        "",
        "  \r\n",
        "<html>code 0</html>",
        "0",
        "null",
        "\"0\"",
        "{}",
        "[0,\"success\",{}]",
        "[{\"code\":0}]",
        r#"{"code":"0"}"#,
        r#"{"code":0.0}"#,
        r#"{"code":-0}"#,
        r#"{"code":0e0}"#,
        r#"{"code":null}"#,
        r#"{"code":false}"#,
        r#"{"code":[0]}"#,
        r#"{"Code":0}"#,
        r#"{"data":{"code":0}}"#,
        r#"{"code":0"#,
        r#"{"code":0}{"code":0}"#,
        r#"{"code":0,"code":1390002}"#,
        r#"{"code":18446744073709551616}"#,
        "\u{feff}{\"code\":0}",
        &deep,
    ] {
        for status in [200, 400, 404] {
            let judged = judge(&response(status, body));
            assert!(matches!(judged.verdict, Verdict::NoVerdict(Lost::Unreadable(_))), "{status} {body:.80}");
            assert_eq!(judged.code, None);
        }
        assert_eq!(judge(&response(429, body)).verdict, limited(10), "{body:.80}");
    }
    let latin =
        Ok(Response { status: 200, body: b"{\"code\":0,\"msg\":\"\xff\"}".to_vec(), ..Response::default() });
    assert!(matches!(judge(&latin).verdict, Verdict::NoVerdict(Lost::Unreadable(_))));
}

#[test]
fn code_0_counts_with_http_200_only() {
    for status in
        [0, 100, 201, 202, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 429, 500, 503, 599, 999]
    {
        let judged = judge(&response(status, r#"{"code":0,"msg":"success","data":{}}"#));
        assert!(matches!(judged.verdict, Verdict::NoVerdict(_)), "HTTP {status}: {:?}", judged.verdict);
    }
    assert_eq!(judge(&response(200, " {\"data\":null,\"code\":0}\n")).verdict, Verdict::Done);
}

#[test]
fn under_http_429_only_a_stop_outranks_the_pause() {
    for (code, verdict) in [
        (1390007, limited(10)),
        (1390002, limited(10)),
        (1395001, limited(10)),
        (4242, limited(10)),
        (99991663, Verdict::TokenRefused),
        (99991672, Verdict::Stop(APP, StopReason::Scope)),
    ] {
        assert_eq!(judge(&response(429, &format!(r#"{{"code":{code}}}"#))).verdict, verdict, "{code}");
    }
}

#[test]
fn a_pause_is_bounded() {
    for (header, seconds) in [
        (None, 10),
        (Some(""), 10),
        (Some("soon"), 10),
        (Some("-3"), 10),
        (Some("1.5"), 10),
        (Some("99999999999999999999999"), 10),
        (Some("0"), 1),
        (Some(" 7 "), 7),
        (Some("120"), 120),
        (Some("86400"), 120),
    ] {
        let answer = Ok(Response {
            status: 400,
            rate_limit_reset: header.map(str::to_owned),
            body: br#"{"code":99991400}"#.to_vec(),
            ..Response::default()
        });
        assert_eq!(judge(&answer).verdict, limited(seconds), "{header:?}");
    }
}

#[test]
fn no_answer_is_no_verdict_unless_nothing_can_have_been_sent() {
    for no_answer in [
        NoAnswer::NotConnected { base_url: place(), cause: "refused".into() },
        NoAnswer::TimedOut { base_url: place(), seconds: 30 },
        NoAnswer::Broken { base_url: place(), cause: "reset".into() },
        NoAnswer::TooLarge { base_url: place() },
    ] {
        let judged = judge(&Err(no_answer.clone()));
        assert_eq!(judged, Answer::without_response(Verdict::NoVerdict(Lost::NoAnswer(no_answer))));
    }
    let judged = judge(&Err(NoAnswer::NoClient { base_url: place(), cause: "no certificates".into() }));
    assert_eq!(judged.verdict, Verdict::Stop(APP, StopReason::NoClient));
}

#[test]
fn the_details_are_kept_within_bounds_whatever_their_type() {
    let body = r#"{"code":99991672,"msg":"Access denied","error":{"log_id":"from-body","troubleshooter":"see here",
        "permission_violations":[{"type":"action","subject":"approval:approval"},{"subject":7},3,
        {"subject":"approval:definition"}]}}"#;
    let judged = judge(&response(400, body));
    assert_eq!(judged.log_id.as_deref(), Some("from-body"));
    assert_eq!(judged.troubleshooter.as_deref(), Some("see here"));
    assert_eq!(judged.missing_scopes, ["approval:approval", "approval:definition"]);
    assert_eq!(
        judged.facts(),
        "code 99991672, Access denied, missing scope: approval:approval or approval:definition, HTTP 400, log id from-body"
    );

    let mut with_header = response(400, body);
    with_header.as_mut().unwrap().log_id = Some("from-header".repeat(20));
    assert_eq!(judge(&with_header).log_id.as_deref(), Some(&"from-header".repeat(20)[..128]));
    with_header.as_mut().unwrap().log_id = Some(String::new());
    assert_eq!(judge(&with_header).log_id.as_deref(), Some("from-body"));

    let long = judge(&response(400, &format!(r#"{{"code":4242,"msg":"a{}"}}"#, "请".repeat(1000))));
    assert_eq!(long.msg.unwrap().len(), 1 + 3 * 341);

    for odd in [
        r#"{"code":1390002,"msg":7,"error":"x"}"#,
        r#"{"code":1390002,"msg":null,"error":[1]}"#,
        r#"{"code":1390002,"error":{"log_id":1,"permission_violations":{"subject":"x"}}}"#,
    ] {
        let judged = judge(&response(400, odd));
        assert_eq!(judged.verdict, Verdict::NotFound, "{odd}");
        assert_eq!((judged.msg, judged.log_id), (None, None));
    }
}

#[test]
fn an_echoed_secret_is_taken_out_before_the_text_is_cut() {
    let secret = SecretString::from("s3ntinel-token");
    let body = format!(
        r#"{{"code":4242,"msg":"{}bad s3ntinel-token","error":{{"log_id":"s3ntinel-token"}}}}"#,
        "x".repeat(1010)
    );
    let judged = judge_hiding(&response(400, &body), &[&secret]);
    assert!(!format!("{judged:?}").contains("s3n"), "{judged:?}");
    assert!(judged.msg.unwrap().ends_with("bad ***"));
}

#[test]
fn a_token_call_ends_in_a_token_or_says_how_far_its_refusal_reaches() {
    use TokenCall::{CustomTenant, StoreApp, StoreTenant};
    let unusable = Verdict::NoVerdict(Lost::Unreadable("it holds no usable token"));
    let stop = Verdict::Stop;
    for (call, status, body, verdict) in [
        (CustomTenant, 200, r#"{"code":0,"tenant_access_token":"t-1","expire":7200}"#, Verdict::Done),
        (StoreTenant, 200, r#"{"code":0,"tenant_access_token":"t-1"}"#, Verdict::Done),
        (StoreApp, 200, r#"{"code":0,"app_access_token":"a-1","expire":"soon"}"#, Verdict::Done),
        (StoreApp, 200, r#"{"code":0,"tenant_access_token":"t-1"}"#, unusable.clone()),
        (CustomTenant, 200, r#"{"code":0}"#, unusable.clone()),
        (CustomTenant, 200, r#"{"code":0,"tenant_access_token":""}"#, unusable.clone()),
        (CustomTenant, 200, r#"{"code":0,"tenant_access_token":7}"#, unusable.clone()),
        (CustomTenant, 200, r#"{"code":0,"tenant_access_token":"a\r\nb"}"#, unusable.clone()),
        (CustomTenant, 200, r#"{"code":0,"tenant_access_token":"令牌"}"#, unusable),
        (
            CustomTenant,
            200,
            r#"{"code":10014,"msg":"app secret invalid"}"#,
            stop(APP, StopReason::Credential),
        ),
        (StoreApp, 200, r#"{"code":10012}"#, stop(APP, StopReason::Credential)),
        (StoreTenant, 200, r#"{"code":10012}"#, stop(TENANT, StopReason::Credential)),
        (StoreTenant, 400, r#"{"code":99991664}"#, Verdict::TokenRefused),
        (CustomTenant, 400, r#"{"code":99991664}"#, stop(APP, StopReason::Credential)),
        (StoreTenant, 400, r#"{"code":99991662}"#, stop(APP, StopReason::AppDisabled)),
        (StoreTenant, 400, r#"{"code":20009}"#, stop(TENANT, StopReason::NotInstalled)),
        (CustomTenant, 400, r#"{"code":4242}"#, stop(APP, StopReason::TokenRequest)),
        (CustomTenant, 400, r#"{"code":1390007}"#, stop(APP, StopReason::TokenRequest)),
        (CustomTenant, 503, r#"{"code":10014}"#, Verdict::NoVerdict(Lost::ServerError(503))),
        (CustomTenant, 429, "", limited(10)),
    ] {
        let (judged, issued) = judge_token(call, &response(status, body), &[]);
        assert_eq!(judged.verdict, verdict, "{call:?} {body}");
        assert_eq!(issued.is_some(), verdict == Verdict::Done, "{call:?} {body}");
    }
    let (_, issued) = judge_token(
        CustomTenant,
        &response(200, r#"{"code":0,"tenant_access_token":"t-1","expire":7200}"#),
        &[],
    );
    let issued = issued.unwrap();
    assert_eq!((issued.token.expose_secret(), issued.expire), ("t-1", Some(7200)));
    assert!(is_token(&"x".repeat(8192)) && !is_token(&"x".repeat(8193)));
}

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::*;
use crate::feishu::{Client, Response};

/// Answers what it is told to, and remembers what it was asked.
#[derive(Default)]
struct Script {
    answers: RefCell<VecDeque<Result<Response, NoAnswer>>>,
    asked: RefCell<Vec<String>>,
    latency: Cell<Duration>,
}

impl Platform for Script {
    async fn send(&self, _: &BaseUrl, request: Request) -> Result<Response, NoAnswer> {
        sleep(self.latency.get()).await;
        let json = request.json.as_ref().map(|json| json.expose_secret()).unwrap_or_default();
        let bearer = request.bearer.as_ref().map(|token| token.expose_secret()).unwrap_or_default();
        let path = request.path.strip_prefix("/open-apis/").unwrap();
        self.asked.borrow_mut().push(format!("{path} {bearer}{json}"));
        self.answers.borrow_mut().pop_front().expect("an answer for every request")
    }
}

fn ok(body: &str) -> Result<Response, NoAnswer> {
    Ok(Response { status: 200, body: body.as_bytes().to_vec(), ..Response::default() })
}

fn tenant_token(token: &str, expire: i64) -> Result<Response, NoAnswer> {
    ok(&format!(r#"{{"code":0,"msg":"ok","tenant_access_token":"{token}","expire":{expire}}}"#))
}

fn app_token(token: &str) -> Result<Response, NoAnswer> {
    ok(&format!(r#"{{"code":0,"msg":"ok","app_access_token":"{token}","expire":7200}}"#))
}

fn timed_out() -> Result<Response, NoAnswer> {
    Err(NoAnswer::TimedOut { base_url: app(credential()).base_url, seconds: 30 })
}

fn client(answers: impl IntoIterator<Item = Result<Response, NoAnswer>>) -> Client<Script> {
    Client::new(Script { answers: RefCell::new(answers.into_iter().collect()), ..Script::default() })
}

fn asked(client: &Client<Script>) -> Vec<String> {
    client.platform().asked.take()
}

fn value(text: &str) -> SecretSource {
    SecretSource::Value(text.to_owned().into())
}

fn credential() -> Credential {
    Credential::Secret(value("s3ntinel"))
}

fn app(credential: Credential) -> App {
    App {
        label: "hr".parse().unwrap(),
        app_id: "cli_1".parse().unwrap(),
        base_url: "http://127.0.0.1:1".parse().unwrap(),
        kind: AppKind::Custom,
        credential,
    }
}

fn store() -> App {
    let credential = Credential::SecretAndTicket { secret: value("s3ntinel"), ticket: value("t1cket") };
    App { kind: AppKind::Store, ..app(credential) }
}

const CUSTOM: &str = r#"auth/v3/tenant_access_token/internal {"app_id":"cli_1","app_secret":"s3ntinel"}"#;
const APP_TOKEN: &str =
    r#"auth/v3/app_access_token {"app_id":"cli_1","app_secret":"s3ntinel","app_ticket":"t1cket"}"#;

fn for_tenant(app_token: &str, tenant: &str) -> String {
    format!(r#"auth/v3/tenant_access_token {{"app_access_token":"{app_token}","tenant_key":"{tenant}"}}"#)
}

#[tokio::test(start_paused = true)]
async fn a_token_is_kept_until_ten_minutes_before_it_expires() {
    let client = client([
        tenant_token("t-1", 7200),
        ok(r#"{"code":0}"#),
        tenant_token("t-2", 7200),
        ok(r#"{"code":0}"#),
    ]);
    let (app, code) = (app(credential()), "A-1".parse().unwrap());
    client.authorize(&app, None).await.unwrap();
    tokio::time::advance(Duration::from_secs(6599)).await;
    assert_eq!(client.unsubscribe(&app, None, &code).await.verdict, Verdict::Done);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(client.unsubscribe(&app, None, &code).await.verdict, Verdict::Done);
    let call = "approval/v4/approvals/A-1/unsubscribe";
    assert_eq!(asked(&client), [CUSTOM, &format!("{call} t-1"), CUSTOM, &format!("{call} t-2")]);
}

#[test]
fn an_absurd_life_is_not_believed() {
    for (expire, seconds) in [
        (None, 60),
        (Some(0), 60),
        (Some(-7200), 60),
        (Some(i64::MIN), 60),
        (Some(30), 15),
        (Some(1200), 600),
        (Some(1201), 601),
        (Some(7200), 6600),
        (Some(i64::MAX), 6600),
    ] {
        assert_eq!(kept_for(expire), Duration::from_secs(seconds), "{expire:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_needs_a_token_waits_for_whoever_is_fetching_it() {
    let client = client([tenant_token("t-1", 7200)]);
    client.platform().latency.set(Duration::from_secs(1));
    let app = app(credential());
    let all = futures_util::future::join_all((0..8).map(|_| client.authorize(&app, None))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(asked(&client), [CUSTOM]);
}

#[tokio::test(start_paused = true)]
async fn many_refusals_of_one_token_renew_it_once() {
    let client = client([tenant_token("t-1", 7200), tenant_token("t-2", 7200), tenant_token("t-3", 7200)]);
    client.platform().latency.set(Duration::from_secs(1));
    let app = app(credential());
    client.authorize(&app, None).await.unwrap();
    let all = futures_util::future::join_all((0..8).map(|_| client.renew(&app, None))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(asked(&client), [CUSTOM, CUSTOM]);
    tokio::time::advance(RENEWED_LATELY).await;
    client.renew(&app, None).await.unwrap();
    assert_eq!(asked(&client), [CUSTOM]);
}

#[tokio::test(start_paused = true)]
async fn a_store_app_gets_a_token_for_each_tenant_with_one_app_token() {
    let client = client([app_token("a-1"), tenant_token("t-1", 7200), tenant_token("t-2", 7200)]);
    let (one, two) = ("one".parse().unwrap(), "two".parse().unwrap());
    for tenant in [&one, &two, &one] {
        client.authorize(&store(), Some(tenant)).await.unwrap();
    }
    assert_eq!(asked(&client), [APP_TOKEN, &for_tenant("a-1", "one"), &for_tenant("a-1", "two")]);
}

#[tokio::test(start_paused = true)]
async fn a_cached_app_token_that_is_refused_is_fetched_anew_once() {
    for refusal in [r#"{"code":99991664,"msg":"bad a-1"}"#, r#"{"code":10013}"#] {
        let client = client([
            app_token("a-1"),
            tenant_token("t-1", 7200),
            ok(refusal),
            app_token("a-2"),
            ok(refusal),
            tenant_token("t-3", 7200),
        ]);
        let (one, two) = ("one".parse().unwrap(), "two".parse().unwrap());
        client.authorize(&store(), Some(&one)).await.unwrap();
        let error = client.authorize(&store(), Some(&two)).await.unwrap_err();
        assert_eq!((error.scope(), error.reason()), (StopScope::Tenant, StopReason::Credential));
        let calls = asked(&client);
        assert_eq!(calls[2..], [for_tenant("a-1", "two"), APP_TOKEN.into(), for_tenant("a-2", "two")]);
        // The tenant is refused, the app is not.
        client.renew(&store(), Some(&one)).await.unwrap();
        assert_eq!(asked(&client), [for_tenant("a-2", "one")]);
    }
}

#[tokio::test(start_paused = true)]
async fn no_verdict_is_tried_again_a_few_times() {
    let html = || Ok(Response { status: 502, body: b"<html>".to_vec(), ..Response::default() });
    let patient = client([timed_out(), html(), tenant_token("t-1", 7200)]);
    let start = Instant::now();
    patient.authorize(&app(credential()), None).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));

    let in_vain = client([html(), html(), timed_out()]);
    let error = in_vain.authorize(&app(credential()), None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no token for app `hr` in 3 tries: no answer from http://127.0.0.1:1 within 30 s"
    );

    let limited = || {
        let reset = Some("20".to_owned());
        Ok(Response { status: 429, rate_limit_reset: reset, ..Response::default() })
    };
    let limited = client([limited(), limited(), tenant_token("t-1", 7200)]);
    let start = Instant::now();
    limited.authorize(&app(credential()), None).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(40));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_token_is_not_sent_and_stops() {
    let code = "A-1".parse().unwrap();
    let refused = ok(r#"{"code":10014,"msg":"app secret invalid: s3ntinel"}"#);
    let refusing = client([refused]);
    let answer = refusing.unsubscribe(&app(credential()), None, &code).await;
    assert_eq!(answer.verdict, Verdict::Stop(StopScope::App, StopReason::Credential));
    assert_eq!((answer.code, answer.msg.as_deref()), (Some(10014), Some("app secret invalid: ***")));
    assert_eq!(asked(&refusing), [CUSTOM]);

    let silent = client([timed_out(), timed_out(), timed_out()]);
    let answer = silent.unsubscribe(&app(credential()), None, &code).await;
    assert_eq!(answer.verdict, Verdict::Stop(StopScope::App, StopReason::NoToken));
    assert!(answer.msg.unwrap().contains("no answer from"));

    let no_client =
        Err(NoAnswer::NoClient { base_url: app(credential()).base_url, cause: "no certificates".into() });
    let helpless = client([no_client]);
    let answer = helpless.unsubscribe(&app(credential()), None, &code).await;
    assert_eq!(answer.verdict, Verdict::Stop(StopScope::App, StopReason::NoClient));
    assert_eq!(asked(&helpless), [CUSTOM]);
}

#[tokio::test(start_paused = true)]
async fn a_ready_made_token_is_used_as_it_is() {
    let client = client([ok(r#"{"code":99991663,"msg":"Invalid access token t-ready-made"}"#)]);
    let app = app(Credential::Token(value("t-ready-made")));
    client.authorize(&app, None).await.unwrap();
    assert!(asked(&client).is_empty());
    let answer = client.unsubscribe(&app, None, &"A-1".parse().unwrap()).await;
    assert_eq!(answer.verdict, Verdict::TokenRefused);
    assert_eq!(answer.msg.as_deref(), Some("Invalid access token ***"));
    let error = client.renew(&app, None).await.unwrap_err();
    assert!(matches!(error, TokenError::NotRenewable { .. }), "{error}");
    assert_eq!(error.into_answer().verdict, Verdict::Stop(StopScope::App, StopReason::Credential));
}

#[tokio::test(start_paused = true)]
async fn a_ready_made_token_is_renewed_from_a_file_that_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "t-1\n").unwrap();
    let client = client([]);
    let app = app(Credential::Token(SecretSource::File(path.clone())));
    let get = async || client.tokens.get(client.platform(), &app, None).await.unwrap();
    assert_eq!(get().await.expose_secret(), "t-1");
    assert!(matches!(client.renew(&app, None).await, Err(TokenError::NotRenewable { .. })));
    std::fs::write(&path, "t-2\n").unwrap();
    assert_eq!(get().await.expose_secret(), "t-1");
    client.renew(&app, None).await.unwrap();
    // Another call that was refused with the old one.
    client.renew(&app, None).await.unwrap();
    assert_eq!(get().await.expose_secret(), "t-2");
    for bad in ["a b", "令牌"] {
        std::fs::write(&path, bad).unwrap();
        tokio::time::advance(RENEWED_LATELY).await;
        let error = client.renew(&app, None).await.unwrap_err();
        assert!(matches!(error, TokenError::NotConfigured { .. }), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    let error = client.renew(&app, None).await.unwrap_err();
    assert!(matches!(error, TokenError::SecretUnreadable { .. }), "{error}");
    assert!(error.hint().contains("token"));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_not_sent() {
    let client = client([]);
    let tenant: TenantKey = "one".parse().unwrap();
    let no_ticket = App { kind: AppKind::Store, ..app(credential()) };
    for (app, tenant) in [
        (app(credential()), Some(&tenant)),
        (store(), None),
        (no_ticket, Some(&tenant)),
        (App { kind: AppKind::Custom, ..store() }, None),
    ] {
        let error = client.authorize(&app, tenant).await.unwrap_err();
        assert!(matches!(error, TokenError::NotConfigured { .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_ever_shown() {
    for (app, tenant, answers) in [
        (app(credential()), None, vec![ok(r#"{"code":10014,"msg":"s3ntinel"}"#)]),
        (app(credential()), None, vec![ok(r#"{"code":0,"tenant_access_token":"s3ntinel \n"}"#); 3]),
        (store(), Some("one"), vec![app_token("s3ntinel-a"), ok(r#"{"code":10012,"msg":"s3ntinel-a"}"#)]),
        (store(), Some("one"), vec![ok(r#"{"code":10012,"msg":"t1cket","error":{"log_id":"s3ntinel"}}"#)]),
    ] {
        let client = client(answers);
        let tenant = tenant.map(|tenant| tenant.parse().unwrap());
        let error = client.authorize(&app, tenant.as_ref()).await.unwrap_err();
        let shown = format!("{error} {error:?} {} {:?} {app:?}", error.hint(), client.tokens);
        assert!(!shown.contains("s3ntinel") && !shown.contains("t1cket"), "{shown}");
    }
}

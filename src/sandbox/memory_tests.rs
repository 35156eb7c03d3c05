use futures_util::future::join_all;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::Window;
use super::*;

const CODE: &str = "7C468A54-8745-2245-9675-08B7C63E7A85";

fn base_url() -> BaseUrl {
    "https://sandbox.invalid".parse().unwrap()
}

fn memory(fault: &str) -> Memory {
    Memory::new(Config {
        subscribed: vec![CODE.parse().unwrap()],
        faults: vec![format!("{CODE}={fault}:1").parse().unwrap()],
        ..Config::default()
    })
}

async fn token(memory: &Memory) -> SecretString {
    let json = json!({ "app_id": "cli_a", "app_secret": "s" }).to_string();
    let request = Request {
        method: Method::Post,
        path: "/open-apis/auth/v3/tenant_access_token/internal".into(),
        bearer: None,
        json: Some(json.into()),
    };
    let response = memory.send(&base_url(), request).await.unwrap();
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    body["tenant_access_token"].as_str().unwrap().into()
}

async fn change(memory: &Memory, token: &SecretString, code: &str, what: &str) -> Result<Response, NoAnswer> {
    let path = format!("/open-apis/approval/v4/approvals/{code}/{what}");
    let request = Request { method: Method::Post, path, bearer: Some(token.clone()), json: None };
    memory.send(&base_url(), request).await
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_wire_are_what_a_client_sees() {
    let broken = |cause: &str| NoAnswer::Broken { base_url: base_url(), cause: cause.into() };
    for (fault, expected) in [
        ("slow", NoAnswer::TimedOut { base_url: base_url(), seconds: 30 }),
        ("reset", broken("connection reset by peer")),
        ("lost", broken("connection reset by peer")),
        ("cut", broken("end of file before message length reached")),
        ("huge", NoAnswer::TooLarge { base_url: base_url() }),
    ] {
        let memory = memory(fault);
        let token = token(&memory).await;
        let answer = change(&memory, &token, CODE, "unsubscribe").await;
        assert_eq!(answer.unwrap_err(), expected, "{fault}");
        let again = change(&memory, &token, CODE, "unsubscribe").await.unwrap();
        assert_eq!(again.status, if fault == "reset" { 200 } else { 400 }, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_headers_that_matter_come_through() {
    let memory = memory("rate_limit");
    let token = token(&memory).await;
    let response = change(&memory, &token, CODE, "unsubscribe").await.unwrap();
    assert_eq!((response.status, response.rate_limit_reset.as_deref()), (429, Some("1")));
    assert!(response.log_id.is_some_and(|log_id| log_id.len() == 32));
}

#[tokio::test(start_paused = true)]
async fn twenty_minutes_of_calls_take_no_time_and_are_logged_as_they_arrived() {
    let memory = Memory::new(Config {
        window: Window::Sliding,
        latency: "20ms..200ms".parse().unwrap(),
        ..Config::default()
    });
    let token = token(&memory).await;
    let (real, start) = (std::time::Instant::now(), Instant::now());
    let mut sent = 0;
    while start.elapsed() < Duration::from_secs(1200) {
        let codes: Vec<String> = (sent..sent + 200).map(|n| format!("X-{n}")).collect();
        join_all(codes.iter().map(|code| change(&memory, &token, code, "subscribe"))).await;
        sent += codes.len();
        sleep(Duration::from_secs(7)).await;
    }
    assert!(real.elapsed() < Duration::from_secs(30));
    let calls = memory.calls();
    let passed: Vec<Duration> =
        calls.iter().filter(|call| call.code == Some(0)).map(|call| call.at).collect();
    // The first is the token's; 100 in each of 20 minutes, give or take the pauses.
    assert!(calls.len() == sent + 1 && passed.len() > 1700, "{} {}", calls.len(), passed.len());
    assert!(calls.windows(2).all(|pair| pair[0].at <= pair[1].at));
    assert!(passed[1..].windows(101).all(|run| run[100] - run[0] >= Duration::from_secs(60)));
}

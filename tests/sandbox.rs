//! The sandbox over real HTTP, seen byte by byte: no HTTP client stands between the test and the wire.

// The exemption that clippy.toml gives tests does not reach the helpers of an integration test.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use larksub::sandbox::http::{MAX_REQUEST_BODY, Running, start};
use larksub::sandbox::{Api, Config, Subscribed};
use serde_json::{Value, json};

const CODE: &str = "7C468A54-8745-2245-9675-08B7C63E7A85";
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn sandbox(faults: &[&str]) -> Running {
    let config = Config {
        subscribed: vec![CODE.parse().unwrap()],
        faults: faults.iter().map(|fault| format!("{CODE}={fault}").parse().unwrap()).collect(),
        ..Config::default()
    };
    start(config, LOOPBACK).unwrap()
}

fn connect(running: &Running) -> TcpStream {
    let address = running.base_url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Reads one answer, its body by `Content-Length`.
fn read_answer(stream: &mut TcpStream) -> std::io::Result<Answer> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body: Vec::new() };
    let length: usize = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
    answer.body = vec![0; length];
    stream.read_exact(&mut answer.body)?;
    Ok(answer)
}

fn send(stream: &mut TcpStream, method: &str, path: &str, headers: &str, body: &str) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: sandbox\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
}

fn ask(stream: &mut TcpStream, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    send(stream, method, path, headers, body);
    read_answer(stream).unwrap()
}

fn token(stream: &mut TcpStream) -> String {
    let body = json!({ "app_id": "cli_a", "app_secret": "s" }).to_string();
    let headers = "Content-Type: application/json; charset=utf-8\r\n";
    let answer =
        ask(stream, "POST", "/open-apis/auth/v3/tenant_access_token/internal", headers, &body).json();
    assert_eq!(answer["code"], 0);
    assert!((7100..=7200).contains(&answer["expire"].as_u64().unwrap()));
    answer["tenant_access_token"].as_str().unwrap().to_owned()
}

fn path(what: &str) -> String {
    format!("/open-apis/approval/v4/approvals/{CODE}/{what}")
}

/// A connection with a token, on which one call to unsubscribe has just been sent.
fn unsubscribing(running: &Running) -> TcpStream {
    let mut stream = connect(running);
    let headers = format!("Authorization: Bearer {}\r\n", token(&mut stream));
    send(&mut stream, "POST", &path("unsubscribe"), &headers, "");
    stream
}

fn code_of_next_call(running: &Running) -> Value {
    read_answer(&mut unsubscribing(running)).unwrap().json()["code"].clone()
}

#[test]
fn a_conversation_on_one_connection() {
    let running = sandbox(&[]);
    let mut stream = connect(&running);
    let token = token(&mut stream);
    let bearer = format!("Authorization: Bearer {token}\r\n");

    let read = ask(&mut stream, "GET", path("").trim_end_matches('/'), &bearer, "");
    assert_eq!(read.json()["data"]["status"], "ACTIVE");

    let done = ask(&mut stream, "POST", &path("unsubscribe"), &bearer, "");
    assert!(done.head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", done.head);
    assert!(done.head.contains("\r\nX-Tt-Logid: "), "{}", done.head);
    assert_eq!(done.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(done.body, br#"{"code":0,"data":{},"msg":"success"}"#);

    // A query and a body are ignored, as the platform does.
    let again = ask(&mut stream, "POST", &format!("{}?a=b", path("unsubscribe")), &bearer, "{}");
    assert_eq!((again.status, &again.json()["code"]), (400, &json!(1390007)));
    assert_eq!(again.json()["error"]["log_id"].as_str(), again.header("X-Tt-Logid"));

    let missing = ask(&mut stream, "POST", &path("unsubscribe"), "", "");
    assert_eq!((missing.status, &missing.json()["code"]), (400, &json!(99991661)));

    let nowhere = ask(&mut stream, "GET", "/open-apis/nowhere", &bearer, "");
    assert_eq!((nowhere.status, nowhere.body.as_slice()), (404, &b"404 page not found"[..]));

    let calls = running.calls();
    assert_eq!(calls.len(), 6);
    assert_eq!(calls[2].api, Some(Api::Unsubscribe));
    let Subscribed::By(one) = format!("cli_a/{CODE}").parse().unwrap() else { panic!() };
    assert!(!running.is_subscribed(&one));
}

#[test]
fn a_call_too_many_says_when_to_come_again() {
    let config = Config { limit: 1, window_length: Duration::from_secs(2), ..Config::default() };
    let running = start(config, LOOPBACK).unwrap();
    let mut stream = connect(&running);
    let bearer = format!("Authorization: Bearer {}\r\n", token(&mut stream));
    let first = ask(&mut stream, "POST", &path("subscribe"), &bearer, "");
    let second = ask(&mut stream, "POST", &path("subscribe"), &bearer, "");
    assert_eq!((first.status, second.status), (200, 429));
    assert_eq!(
        (&second.json()["code"], second.header("x-ogw-ratelimit-limit")),
        (&json!(99991400), Some("1"))
    );
    let reset: u64 = second.header("x-ogw-ratelimit-reset").unwrap().parse().unwrap();
    assert!((1..=2).contains(&reset));
    std::thread::sleep(Duration::from_secs(reset));
    assert_eq!(ask(&mut stream, "POST", &path("subscribe"), &bearer, "").json()["code"], 1390007);
}

#[test]
fn answers_that_are_not_the_platforms() {
    for (fault, status, content_type) in [
        ("5xx:1", 503, "text/plain"),
        ("html:1", 200, "text/html; charset=utf-8"),
        ("redirect:1", 302, "text/html"),
        ("empty:1", 200, "text/plain; charset=utf-8"),
    ] {
        let running = sandbox(&[fault]);
        let mut stream = unsubscribing(&running);
        let answer = read_answer(&mut stream).unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (status, Some(content_type)), "{fault}");
        assert!(serde_json::from_slice::<Value>(&answer.body).is_err(), "{fault}");
        assert_eq!(answer.header("location").is_some(), status == 302);
        let expected = if fault == "empty:1" { 1390007 } else { 0 };
        assert_eq!(code_of_next_call(&running), expected, "{fault}");
    }
}

#[test]
fn a_code_that_is_a_string() {
    let running = sandbox(&["string_code:1"]);
    let answer = read_answer(&mut unsubscribing(&running)).unwrap();
    assert_eq!(answer.json()["code"], "0");
    assert_eq!(code_of_next_call(&running), 1390007);
}

#[test]
fn a_huge_answer_is_valid_and_whole() {
    let running = sandbox(&["huge:1"]);
    let mut stream = unsubscribing(&running);
    let answer = read_answer(&mut stream).unwrap();
    assert!(answer.body.len() > 4 * 1024 * 1024);
    assert_eq!(answer.json()["code"], 0);
    // The connection is still in step afterwards.
    assert_eq!(ask(&mut stream, "GET", "/", "", "").status, 404);
}

#[test]
fn a_cut_answer_ends_early_and_in_order() {
    let running = sandbox(&["cut:1"]);
    let mut stream = unsubscribing(&running);
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let whole = r#"{"code":0,"data":{},"msg":"success"}"#;
    assert!(head.contains(&format!("Content-Length: {}", whole.len())), "{head}");
    assert_eq!(body, &whole[..whole.len() / 2]);
    assert_eq!(code_of_next_call(&running), 1390007);
}

#[test]
fn a_reset_connection_gives_no_byte() {
    for (fault, code_afterwards) in [("reset:1", 0), ("lost:1", 1390007)] {
        let running = sandbox(&[fault]);
        let mut stream = unsubscribing(&running);
        let error = stream.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{fault}");
        assert_eq!(code_of_next_call(&running), code_afterwards, "{fault}");
    }
}

#[test]
fn a_slow_answer_comes_late_and_others_do_not_wait_for_it() {
    let config = Config {
        subscribed: vec![CODE.parse().unwrap()],
        faults: vec![format!("{CODE}=slow:1").parse().unwrap()],
        slow: Duration::from_secs(2),
        ..Config::default()
    };
    let running = start(config, LOOPBACK).unwrap();
    let begun = Instant::now();
    let mut slow = unsubscribing(&running);
    while running.calls().len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(code_of_next_call(&running), 1390007);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(read_answer(&mut slow).unwrap().json()["code"], 0);
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[test]
fn latency_is_kept() {
    let config = Config { latency: "80ms..120ms".parse().unwrap(), ..Config::default() };
    let running = start(config, LOOPBACK).unwrap();
    let mut stream = connect(&running);
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(ask(&mut stream, "GET", "/", "", "").status, 404);
        assert!(begun.elapsed() >= Duration::from_millis(80));
    }
}

#[test]
fn a_request_that_is_too_large_is_refused() {
    let running = sandbox(&[]);
    let mut stream = connect(&running);
    let body = "x".repeat(MAX_REQUEST_BODY + 1);
    assert_eq!(ask(&mut stream, "POST", &path("unsubscribe"), "", &body).status, 413);
    assert!(running.calls().is_empty());
}

#[test]
fn garbage_is_answered_or_dropped_and_nothing_breaks() {
    let running = sandbox(&[]);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(200_000));
    for garbage in [
        &b"\r\n\r\n"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nAuthorization: Bearer \xff\xfe\r\nContent-Type: \x80\r\n\r\n",
        long.as_bytes(),
    ] {
        let mut stream = connect(&running);
        // The other side may have closed already, which is an answer too.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(code_of_next_call(&running), 0);
}

#[test]
fn random_bytes_break_nothing() {
    let running = sandbox(&[]);
    let mut state = 1_u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let right =
        format!("POST {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t-1\r\n\r\n", path("unsubscribe"));
    for round in 0..400 {
        // Random all through, or a right request with a few bytes changed.
        let mut bytes: Vec<u8> = match round % 2 {
            0 => (0..next() % 300).map(|_| u8::try_from(next() % 256).unwrap()).collect(),
            _ => right.clone().into_bytes(),
        };
        for _ in 0..next() % 4 {
            let at = usize::try_from(next()).unwrap() % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = u8::try_from(next() % 256).unwrap();
            }
        }
        let mut stream = connect(&running);
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(code_of_next_call(&running), 0);
}

#[test]
fn a_stopped_sandbox_is_gone() {
    let running = sandbox(&["slow"]);
    let address: SocketAddr = running.base_url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut waiting = unsubscribing(&running);
    while running.calls().len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    drop(running);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(read_answer(&mut waiting).is_err());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn an_address_in_use_is_an_error() {
    let running = sandbox(&[]);
    let address = running.base_url.strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(start(Config::default(), address).unwrap_err().kind(), ErrorKind::AddrInUse);
}

//! The HTTP client against raw sockets that answer what no honest server would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

use larksub::feishu::http::Timeouts;
use larksub::feishu::{Http, MAX_BODY, Method, NoAnswer, Platform as _, Request, Response};
use larksub::subscription::BaseUrl;

/// Only a broken client would make a server wait that long.
const PATIENCE: Duration = Duration::from_secs(20);
const SENTINEL: &str = "s3ntinel";

/// A certificate that is one; any would do.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBtjCCAVugAwIBAgITBmyf1XSXNmY/Owua2eiedgPySjAKBggqhkjOPQQDAjA5
MQswCQYDVQQGEwJVUzEPMA0GA1UEChMGQW1hem9uMRkwFwYDVQQDExBBbWF6b24g
Um9vdCBDQSAzMB4XDTE1MDUyNjAwMDAwMFoXDTQwMDUyNjAwMDAwMFowOTELMAkG
A1UEBhMCVVMxDzANBgNVBAoTBkFtYXpvbjEZMBcGA1UEAxMQQW1hem9uIFJvb3Qg
Q0EgMzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCmXp8ZBf8ANm+gBG1bG8lKl
ui2yEujSLtf6ycXYqm0fc4E7O5hrOXwzpcVOho6AF2hiRVd9RFgdszflZwjrZt6j
QjBAMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgGGMB0GA1UdDgQWBBSr
ttvXBp43rDCGB5Fwx5zEGbF4wDAKBggqhkjOPQQDAgNJADBGAiEA4IWSoxe3jfkr
BqWTrBqYaGFy+uGh0PsceGCmQ5nFuMQCIQCcAu/xlJyzlvnrxir4tiz+OpAUFteM
YyRIHN8wfdVoOw==
-----END CERTIFICATE-----
";

/// What a connection gets once its request has been read.
enum Reply {
    Bytes(Vec<u8>),
    /// Nothing, for as long as the client waits.
    Silence,
    /// An end with the request still unread, which resets the connection.
    Reset,
}

struct Server {
    base_url: BaseUrl,
    thread: JoinHandle<Vec<String>>,
}

impl Server {
    /// The requests it was sent. The runtime goes on meanwhile, so that the client can hang up.
    async fn requests(self) -> Vec<String> {
        tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap()
    }
}

/// Answers that many connections, one request each, and is gone.
fn serve(replies: Vec<Reply>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let answer = move |reply| {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        if let Reply::Reset = reply {
            // Something must have arrived, or closing would be orderly.
            stream.peek(&mut [0]).unwrap();
            return String::new();
        }
        let request = read_request(&mut stream);
        match reply {
            Reply::Bytes(bytes) => {
                // A client that has read enough hangs up.
                let _ = stream.write_all(&bytes);
            }
            Reply::Silence => {
                let _ = stream.read(&mut [0]);
            }
            Reply::Reset => {}
        }
        request
    };
    Server { base_url, thread: std::thread::spawn(move || replies.into_iter().map(answer).collect()) }
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase().lines().find_map(|line| {
                line.strip_prefix("content-length: ").map(|length| length.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let read = stream.read(&mut chunk).unwrap();
        assert_ne!(read, 0, "the client hung up: {text}");
        bytes.extend_from_slice(&chunk[..read]);
    }
}

fn request() -> Request {
    Request {
        method: Method::Post,
        path: "/open-apis/x".into(),
        bearer: Some(format!("{SENTINEL}-token").into()),
        json: Some(format!(r#"{{"app_secret":"{SENTINEL}"}}"#).into()),
    }
}

fn quick() -> Http {
    Http::with_timeouts(None, Timeouts { connect: Duration::from_secs(5), total: Duration::from_millis(200) })
}

fn patient() -> Http {
    Http::new(None)
}

fn http(head: &str, body: &[u8]) -> Reply {
    Reply::Bytes([format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes(), body].concat())
}

async fn exchange(reply: Reply) -> Result<Response, NoAnswer> {
    let server = serve(vec![reply]);
    let answer = patient().send(&server.base_url, request()).await;
    server.requests().await;
    answer
}

/// The reason there is no answer, in which no secret may show.
fn reason(answer: Result<Response, NoAnswer>) -> NoAnswer {
    let reason = answer.expect_err("no answer");
    let shown = format!("{reason} {reason:?} {:?}", request());
    assert!(!shown.contains(SENTINEL), "{shown}");
    reason
}

#[tokio::test]
async fn a_request_is_sent_as_documented() {
    let body = br#"{"code":0}"#;
    let head = "200 OK\r\nX-Tt-Logid: 2026\r\nx-ogw-ratelimit-reset: 7\r\nContent-Length: 10";
    let server = serve(vec![http(head, body), http(head, body)]);
    let client = patient();
    let answer = client.send(&server.base_url, request()).await.unwrap();
    assert_eq!((answer.status, &*answer.body), (200, &body[..]));
    assert_eq!((answer.log_id.as_deref(), answer.rate_limit_reset.as_deref()), (Some("2026"), Some("7")));
    let bare = Request { bearer: None, json: None, ..request() };
    client.send(&server.base_url, bare).await.unwrap();

    let requests = server.requests().await;
    let sent = requests[0].to_lowercase();
    assert!(sent.starts_with("post /open-apis/x http/1.1\r\n"), "{sent}");
    for line in [
        "authorization: bearer s3ntinel-token",
        "content-type: application/json; charset=utf-8",
        "content-length: 25",
        concat!("user-agent: larksub/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(sent.contains(&format!("{line}\r\n")), "{line}: {sent}");
    }
    assert!(sent.ends_with("\r\n\r\n{\"app_secret\":\"s3ntinel\"}"), "{sent}");
    let bare = requests[1].to_lowercase();
    assert!(!bare.contains("authorization:") && !bare.contains("content-type:"), "{bare}");
    assert!(bare.contains("content-length: 0\r\n"), "{bare}");
}

#[tokio::test]
async fn an_answer_is_handed_on_whatever_it_is() {
    let page = exchange(http("502 Bad Gateway\r\nContent-Length: 6", b"<html>")).await.unwrap();
    assert_eq!((page.status, &*page.body, page.log_id), (502, &b"<html>"[..], None));
    let empty = exchange(http("200 OK\r\nContent-Length: 0", b"")).await.unwrap();
    assert_eq!((empty.status, empty.body.len()), (200, 0));
    let odd = exchange(http("429 Slow\r\nX-Tt-Logid: é\r\nContent-Length: 0", b"")).await.unwrap();
    assert_eq!(odd.status, 429);
    assert!(odd.log_id.is_some());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        // The server is gone after one connection, so following would fail.
        let head = format!("{status}\r\nLocation: /elsewhere\r\nContent-Length: 0");
        assert_eq!(exchange(http(&head, b"")).await.unwrap().status, status[..3].parse::<u16>().unwrap());
    }
}

#[tokio::test]
async fn a_large_answer_is_not_read_to_its_end() {
    let limit = exchange(http("200 OK", &vec![b'x'; MAX_BODY])).await.unwrap();
    assert_eq!(limit.body.len(), MAX_BODY);
    let unannounced = exchange(http("200 OK", &vec![b'x'; MAX_BODY + 1])).await;
    assert!(matches!(reason(unannounced), NoAnswer::TooLarge { .. }));
    let announced = exchange(http("200 OK\r\nContent-Length: 99999999999", b"x")).await;
    assert!(matches!(reason(announced), NoAnswer::TooLarge { .. }));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    for reply in [
        http("200 OK\r\nContent-Length: 100", br#"{"code":0}"#),
        http("200 OK\r\nTransfer-Encoding: chunked", b"5\r\nabc"),
        Reply::Bytes(b"HTTP/1.1 200 OK\r\nConte".to_vec()),
        Reply::Bytes(b"s3cret of a server that speaks no HTTP\r\n\r\n".to_vec()),
        Reply::Bytes(Vec::new()),
        Reply::Reset,
    ] {
        let reason = reason(exchange(reply).await);
        assert!(matches!(&reason, NoAnswer::Broken { cause, .. } if !cause.is_empty()), "{reason:?}");
    }
}

#[tokio::test]
async fn a_late_answer_is_none() {
    let server = serve(vec![Reply::Silence]);
    let reason = reason(quick().send(&server.base_url, request()).await);
    assert_eq!(reason, NoAnswer::TimedOut { base_url: server.base_url.clone(), seconds: 1 });
    server.requests().await;
}

#[tokio::test]
async fn nobody_there_is_no_connection() {
    let server = serve(vec![]);
    let base_url = server.base_url.clone();
    server.requests().await;
    let reason = reason(patient().send(&base_url, request()).await);
    assert!(
        matches!(&reason, NoAnswer::NotConnected { cause, .. } if cause.contains("refused")),
        "{reason:?}"
    );
}

#[tokio::test]
async fn nothing_is_sent_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url: BaseUrl = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        first.set_read_timeout(Some(PATIENCE)).unwrap();
        read_request(&mut first);
        first.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        // A connection is good for one answer, although this one stays open: what comes late on it is nobody's.
        let (mut second, _) = listener.accept().unwrap();
        second.set_read_timeout(Some(PATIENCE)).unwrap();
        read_request(&mut second);
        drop((first, second));
        listener
    });
    let client = patient();
    client.send(&base_url, request()).await.unwrap();
    let reason = reason(client.send(&base_url, request()).await);
    assert!(matches!(reason, NoAnswer::Broken { .. }), "{reason:?}");
    let listener = thread.join().unwrap();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_ca_bundle_is_read_when_https_is_needed_and_must_hold_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let place: BaseUrl = "https://127.0.0.1:1".parse().unwrap();
    for (path, complaint) in [
        (folder.path().join("missing"), "No such file"),
        (folder.path().to_path_buf(), "directory"),
        (file("empty", b""), "holds no certificate"),
        (file("prose", b"no certificate here\n"), "holds no certificate"),
        (file("der", &[0x30, 0x82, 0x01, 0xff]), "holds no certificate"),
        (
            file("wrong", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "holds a certificate that cannot be used",
        ),
        (file("half", b"-----BEGIN CERTIFICATE-----\nAAAA\n"), "not PEM"),
    ] {
        let client = Http::new(Some(path.clone()));
        let reason = reason(client.send(&place, request()).await);
        let NoAnswer::NoClient { cause, .. } = &reason else { panic!("{reason:?}") };
        assert!(cause.contains(complaint) && cause.contains(path.to_str().unwrap()), "{cause}");

        // Plain http on loopback has no use for it.
        let server = serve(vec![http("200 OK\r\nContent-Length: 0", b"")]);
        client.send(&server.base_url, request()).await.unwrap();
        server.requests().await;
    }
}

#[test]
fn a_server_without_tls_is_no_connection_for_https() {
    run_alone("without_tls", &[("NO_PROXY", "127.0.0.1")]);
}

fn bundle() -> tempfile::NamedTempFile {
    let bundle = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(bundle.path(), CERTIFICATE).unwrap();
    bundle
}

#[tokio::test]
#[ignore = "needs an environment without proxies; the test above runs it in one"]
async fn without_tls() {
    let bundle = bundle();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url: BaseUrl = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut hello = [0; 4096];
        let read = stream.read(&mut hello).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        String::from_utf8_lossy(&hello[..read]).into_owned()
    });
    let client = Http::new(Some(bundle.path().to_path_buf()));
    let reason = reason(client.send(&base_url, request()).await);
    assert!(matches!(reason, NoAnswer::NotConnected { .. }), "{reason:?}");
    assert!(!thread.join().unwrap().contains(SENTINEL));
}

/// Runs one of these tests in a process of its own, in another environment.
fn run_alone(test: &str, variables: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--include-ignored"])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
}

#[test]
fn no_proxy_sees_what_goes_to_loopback() {
    let nowhere = "http://127.0.0.1:9";
    run_alone(
        "a_request_is_sent_as_documented",
        &[("HTTP_PROXY", nowhere), ("http_proxy", nowhere), ("ALL_PROXY", nowhere), ("NO_PROXY", "")],
    );
}

#[tokio::test]
async fn a_proxy_of_the_environment_carries_https_and_sees_no_secret() {
    let proxy = serve(vec![http("403 Forbidden\r\nContent-Length: 0", b"")]);
    let url = proxy.base_url.as_str().replace("http://", &format!("http://user:{SENTINEL}-proxy@"));
    run_alone("through_a_proxy", &[("HTTPS_PROXY", &url), ("NO_PROXY", "")]);
    let request = proxy.requests().await.concat();
    assert!(request.starts_with("CONNECT open.feishu.invalid:443 "), "{request}");
    assert!(!request.contains(SENTINEL), "{request}");
}

#[tokio::test]
#[ignore = "needs a proxy; the test above runs it with one"]
async fn through_a_proxy() {
    let bundle = bundle();
    let client = Http::new(Some(bundle.path().to_path_buf()));
    let place: BaseUrl = "https://open.feishu.invalid".parse().unwrap();
    let reason = reason(client.send(&place, request()).await);
    assert!(matches!(reason, NoAnswer::NotConnected { .. }), "{reason:?}");
}

#[test]
fn a_machine_without_certificates_errs_only_where_https_is_needed() {
    run_alone(
        "without_certificates",
        &[("SSL_CERT_FILE", "/nonexistent/bundle"), ("SSL_CERT_DIR", "/nonexistent")],
    );
}

#[tokio::test]
#[ignore = "needs a machine without certificates; the test above runs it in such an environment"]
async fn without_certificates() {
    let client = patient();
    let place: BaseUrl = "https://127.0.0.1:1".parse().unwrap();
    let reason = reason(client.send(&place, request()).await);
    let NoAnswer::NoClient { cause, .. } = &reason else { panic!("{reason:?}") };
    for way_out in ["/nonexistent/bundle", "SSL_CERT_FILE", "--ca-bundle"] {
        assert!(cause.contains(way_out), "{cause}");
    }
    let server = serve(vec![http("200 OK\r\nContent-Length: 0", b"")]);
    client.send(&server.base_url, request()).await.unwrap();
    server.requests().await;
}

//! `larksub sandbox` as a child process, ended when dropped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A running sandbox.
pub struct Platform {
    pub url: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Platform {
    /// Starts one; it takes calls when this returns. The codes are subscribed, in the forms of `--subscribed`.
    pub fn start<T: AsRef<str>>(subscribed: &[T], args: &[&str]) -> Self {
        let list = assert_fs::NamedTempFile::new("subscribed.txt").unwrap();
        let lines: Vec<&str> = subscribed.iter().map(AsRef::as_ref).collect();
        std::fs::write(list.path(), lines.join("\n")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_larksub"))
            .args(["sandbox", "--subscribed"])
            .arg(list.path())
            .args(args)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (Arc::clone(&log), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let url = url.trim().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}: {:?}", log.lock().unwrap());
        Self { url, child, log }
    }

    /// Every request so far as the sandbox logged it, in the order of arrival.
    pub fn log(&self) -> Vec<String> {
        // The log is in the order of arrival, so all is there once a request of our own is.
        let barrier = format!("/barrier/{}", uuid::Uuid::new_v4());
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let request = format!("GET {barrier} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        let seen = |log: &[String]| log.iter().any(|line| line.contains(&barrier));
        until("the sandbox's log is written", || seen(&self.log.lock().unwrap()));
        self.log.lock().unwrap().iter().filter(|line| !line.contains("/barrier/")).cloned().collect()
    }

    /// A tenant token of a custom app, as a person would obtain one by hand.
    pub fn token(&self, app_id: &str) -> String {
        let body = format!(r#"{{"app_id":"{app_id}","app_secret":"any"}}"#);
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let path = "/open-apis/auth/v3/tenant_access_token/internal";
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        body["tenant_access_token"].as_str().unwrap().to_owned()
    }

    /// The codes of the unsubscribe calls so far.
    pub fn calls(&self) -> Vec<String> {
        let log = self.log();
        let calls = log.iter().filter_map(|line| {
            let (path, _) = line.strip_prefix("POST /open-apis/approval/v4/approvals/")?.split_once(" → ")?;
            path.strip_suffix("/unsubscribe").map(ToOwned::to_owned)
        });
        calls.collect()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that another process does.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        sleep(Duration::from_millis(5));
    }
}

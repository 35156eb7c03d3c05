//! What stands between the program and a store: it counts requests, delays them, and misbehaves on purpose.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Do {
    /// It is answered so, and the store never sees it.
    Answer(u16, String),
    /// The store does it, and the answer is lost.
    Lose,
    /// The connection is cut before the store sees it.
    Cut,
    /// Nothing comes back.
    Hang,
}

#[derive(Debug)]
struct Rule {
    method: String,
    path: String,
    skip: usize,
    times: usize,
    act: Do,
}

#[derive(Debug, Default)]
struct Inner {
    upstream: String,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<String>>,
    delay: Mutex<Duration>,
}

/// A proxy in front of one server.
#[derive(Debug, Clone)]
pub struct Proxy {
    pub address: String,
    inner: Arc<Inner>,
}

impl Proxy {
    /// In front of `upstream`, a host and port.
    pub fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let inner = Arc::new(Inner { upstream: upstream.into(), ..Inner::default() });
        let shared = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let inner = Arc::clone(&shared);
                // Whoever hangs up early is not what is tested.
                std::thread::spawn(move || serve(stream.unwrap(), &inner));
            }
        });
        Self { address, inner }
    }

    /// Of the requests of this method whose path and query contain `path`, after `skip` of them, `times` are treated so.
    pub fn rule(&self, method: &str, path: &str, skip: usize, times: usize, act: Do) {
        let (method, path) = (method.to_owned(), path.to_owned());
        self.inner.rules.lock().unwrap().push(Rule { method, path, skip, times, act });
    }

    /// Forgets every rule.
    pub fn heal(&self) {
        self.inner.rules.lock().unwrap().clear();
    }

    /// Every request takes that much longer.
    pub fn delay(&self, by: Duration) {
        *self.inner.delay.lock().unwrap() = by;
    }

    /// The requests since the last time that this was asked: method, path and query.
    pub fn take_seen(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.seen.lock().unwrap())
    }

    /// How many requests there were of this method and with this in their path, since they were last taken.
    pub fn count(&self, method: &str, path: &str) -> usize {
        let seen = self.inner.seen.lock().unwrap();
        seen.iter().filter(|line| line.starts_with(method) && line.contains(path)).count()
    }
}

fn due(inner: &Inner, method: &str, path: &str) -> Option<Do> {
    let mut rules = inner.rules.lock().unwrap();
    for rule in rules.iter_mut().filter(|rule| rule.method == method && path.contains(&rule.path)) {
        if rule.skip > 0 {
            rule.skip -= 1;
        } else if rule.times > 0 {
            rule.times -= 1;
            return Some(rule.act.clone());
        }
    }
    None
}

/// Requests of one connection, one after the other.
fn serve(mut stream: TcpStream, inner: &Inner) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (head, body) = message(&mut reader, false)?;
        let line = head.lines().next()?.to_owned();
        let mut words = line.split(' ');
        // One client writes the slashes and dots of a key as they are, another does not.
        let path = words.next().map(|method| (method, words.next().unwrap_or_default()));
        let (method, path) =
            path.map(|(method, path)| (method.to_owned(), path.replace("%2F", "/").replace("%2E", ".")))?;
        inner.seen.lock().unwrap().push(format!("{method} {path}"));
        std::thread::sleep(*inner.delay.lock().unwrap());
        let act = due(inner, &method, &path);
        match &act {
            Some(Do::Answer(status, body)) => {
                let length = body.len();
                write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}").ok()?;
                continue;
            }
            Some(Do::Cut) => return stream.shutdown(Shutdown::Both).ok(),
            Some(Do::Hang) => {
                std::thread::sleep(Duration::from_secs(120));
                return None;
            }
            Some(Do::Lose) | None => {}
        }
        let answer = forward(inner, &head, &body, method == "HEAD")?;
        if matches!(act, Some(Do::Lose)) {
            return stream.shutdown(Shutdown::Both).ok();
        }
        stream.write_all(&answer).ok()?;
    }
}

/// The head and the body of a request or an answer.
fn message(reader: &mut BufReader<TcpStream>, is_bodiless: bool) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let mut body = Vec::new();
    if is_bodiless {
    } else if header("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let length = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; length + 2];
            reader.read_exact(&mut chunk).ok()?;
            body.extend_from_slice(&chunk[..length]);
            if length == 0 {
                break;
            }
        }
    } else if let Some(length) = header("content-length") {
        body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut body).ok()?;
    }
    Some((head, body))
}

fn forward(inner: &Inner, head: &str, body: &[u8], is_head: bool) -> Option<Vec<u8>> {
    let mut upstream = TcpStream::connect(&inner.upstream).ok()?;
    upstream.set_nodelay(true).ok()?;
    let kept = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !["connection", "expect"].contains(&name.as_str())
    };
    let head: Vec<&str> = head.trim_end().lines().filter(kept).collect();
    upstream.write_all(format!("{}\r\nConnection: close\r\n\r\n", head.join("\r\n")).as_bytes()).ok()?;
    upstream.write_all(body).ok()?;
    let mut reader = BufReader::new(upstream);
    let (head, body) = loop {
        let (head, body) = message(&mut reader, is_head)?;
        if !head.starts_with("HTTP/1.1 100") {
            break (head, body);
        }
    };
    let without = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let is_length = name == "content-length" && !is_head;
        !(["connection", "transfer-encoding", "keep-alive"].contains(&name.as_str()) || is_length)
    };
    let head: Vec<&str> = head.trim_end().lines().filter(without).collect();
    let length = if is_head { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let mut answer = format!("{}\r\n{length}\r\n", head.join("\r\n")).into_bytes();
    answer.extend_from_slice(&body);
    Some(answer)
}

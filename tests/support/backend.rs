//! A server of Terraform's HTTP protocol: documents by path, each with its lock.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One document.
#[derive(Debug, Default, Clone)]
pub struct Kept {
    pub document: Option<Vec<u8>>,
    /// The body that it was locked with.
    pub lock: Option<String>,
}

/// The server.
#[derive(Debug, Clone)]
pub struct Backend {
    pub address: String,
    kept: Arc<Mutex<BTreeMap<String, Kept>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    rule: Arc<Mutex<Option<Rule>>>,
}

/// Whether somebody may ask this; otherwise the status of the refusal.
pub type Rule = fn(&Seen) -> Option<u16>;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
    pub head: String,
    pub body: String,
}

/// How a lock is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// LOCK and UNLOCK at the document's own path.
    Terraform,
    /// POST and DELETE at `…/lock`, as GitLab has it.
    Gitlab,
    /// Not at all.
    None,
}

impl Backend {
    pub fn start(style: Style) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let backend = Self { address, kept: Arc::default(), seen: Arc::default(), rule: Arc::default() };
        let shared = backend.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let backend = shared.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &backend, style));
            }
        });
        backend
    }

    pub fn kept(&self, path: &str) -> Kept {
        self.kept.lock().unwrap().get(path).cloned().unwrap_or_default()
    }

    pub fn set(&self, path: &str, document: &[u8]) {
        self.kept.lock().unwrap().entry(path.into()).or_default().document = Some(document.into());
    }

    /// From now on requests are refused by this rule.
    #[allow(dead_code)] // Only the pipelines' tests have roles.
    pub fn refuse_by(&self, rule: Rule) {
        *self.rule.lock().unwrap() = Some(rule);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, backend: &Backend, style: Style) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let mut words = head.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let seen = Seen {
            method: method.clone(),
            path: path.into(),
            query: query.into(),
            head: head.clone(),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        backend.seen.lock().unwrap().push(seen.clone());
        let refused = backend.rule.lock().unwrap().and_then(|rule| rule(&seen));
        let (status, answer) = match refused {
            Some(status) => (status, br#"{"message":"refused"}"#.to_vec()),
            None => answer(backend, style, &seen),
        };
        let length = answer.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&answer).ok()?;
    }
}

fn answer(backend: &Backend, style: Style, seen: &Seen) -> (u16, Vec<u8>) {
    let mut kept = backend.kept.lock().unwrap();
    let is_lock_path = style == Style::Gitlab && seen.path.ends_with("/lock");
    let path = seen.path.strip_suffix("/lock").filter(|_| is_lock_path).unwrap_or(&seen.path);
    let kept = kept.entry(path.to_owned()).or_default();
    let id = |body: &str| {
        let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        body["ID"].as_str().unwrap_or_default().to_owned()
    };
    let locks = match style {
        Style::Terraform => seen.method == "LOCK",
        Style::Gitlab => seen.method == "POST" && is_lock_path,
        Style::None => false,
    };
    let unlocks = match style {
        Style::Terraform => seen.method == "UNLOCK",
        Style::Gitlab => seen.method == "DELETE" && is_lock_path,
        Style::None => false,
    };
    match &kept.lock {
        Some(lock) if locks => return (423, lock.clone().into_bytes()),
        None if locks => {
            kept.lock = Some(seen.body.clone());
            return (200, Vec::new());
        }
        Some(lock) if unlocks && id(lock) == id(&seen.body) => {
            kept.lock = None;
            return (200, Vec::new());
        }
        Some(lock) if unlocks => return (409, lock.clone().into_bytes()),
        None if unlocks => return (200, Vec::new()),
        _ => {}
    }
    match seen.method.as_str() {
        "GET" => kept.document.clone().map_or((404, Vec::new()), |document| (200, document)),
        "POST" => {
            let asks = seen.query.strip_prefix("ID=").unwrap_or_default();
            match &kept.lock {
                Some(lock) if id(lock) != asks => (423, lock.clone().into_bytes()),
                _ => {
                    kept.document = Some(seen.body.clone().into_bytes());
                    (200, Vec::new())
                }
            }
        }
        _ => (405, Vec::new()),
    }
}

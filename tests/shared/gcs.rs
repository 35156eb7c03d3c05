//! A server that speaks as much of Google Cloud Storage's XML interface as a ledger asks for: objects with generations, put under
//! `x-goog-if-generation-match`, fetched, listed and deleted.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

struct Object {
    bytes: Vec<u8>,
    generation: u64,
    at: Timestamp,
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Object>,
    generation: u64,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// Starts it; gives its address.
pub fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let bucket = Arc::new(Mutex::new(Bucket::default()));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let bucket = Arc::clone(&bucket);
            std::thread::spawn(move || serve(stream.unwrap(), &bucket));
        }
    });
    address
}

fn serve(mut stream: TcpStream, bucket: &Mutex<Bucket>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut words = head.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let wanted = header("x-goog-if-generation-match").map(|text| text.parse::<u64>().unwrap());
        let answer = answer(&mut bucket.lock().unwrap(), method, target, wanted, body);
        let mut text = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
        for (name, value) in &answer.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        stream.write_all(text.as_bytes()).ok()?;
        if method != "HEAD" {
            stream.write_all(&answer.body).ok()?;
        }
    }
}

fn answer(bucket: &mut Bucket, method: &str, target: &str, wanted: Option<u64>, body: Vec<u8>) -> Answer {
    let url = url::Url::parse(&format!("http://gcs{target}")).unwrap();
    let key = url.path().trim_start_matches('/').split_once('/').map(|(_, key)| decoded(key));
    match (method, key) {
        ("GET", None) => list(bucket, &url),
        ("PUT", Some(key)) => {
            let there = bucket.objects.get(&key).map_or(0, |object| object.generation);
            if wanted.is_some_and(|wanted| wanted != there) {
                return failed(412, "PreconditionFailed");
            }
            bucket.generation += 1;
            let generation = bucket.generation;
            bucket.objects.insert(key, Object { bytes: body, generation, at: Timestamp::now() });
            Answer { status: 200, headers: marks(generation), body: Vec::new() }
        }
        ("GET" | "HEAD", Some(key)) => match bucket.objects.get(&key) {
            Some(object) => {
                let mut headers = marks(object.generation);
                let at = object.at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                headers.push(("Last-Modified", at));
                Answer { status: 200, headers, body: object.bytes.clone() }
            }
            None => failed(404, "NoSuchKey"),
        },
        ("DELETE", Some(key)) => match bucket.objects.remove(&key) {
            Some(_) => Answer { status: 204, headers: Vec::new(), body: Vec::new() },
            None => failed(404, "NoSuchKey"),
        },
        _ => failed(405, "MethodNotAllowed"),
    }
}

fn decoded(key: &str) -> String {
    url::form_urlencoded::parse(key.as_bytes()).map(|(key, _)| key.into_owned()).collect()
}

fn marks(generation: u64) -> Vec<(&'static str, String)> {
    vec![("ETag", format!("\"{generation:x}\"")), ("x-goog-generation", generation.to_string())]
}

fn failed(status: u16, code: &str) -> Answer {
    let body = format!("<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>");
    Answer { status, headers: vec![("Content-Type", "application/xml".into())], body: body.into_bytes() }
}

fn list(bucket: &Bucket, url: &url::Url) -> Answer {
    let of = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let (prefix, after) = (of("prefix").unwrap_or_default(), of("start-after").unwrap_or_default());
    let mut body = String::from("<?xml version='1.0' encoding='UTF-8'?><ListBucketResult>");
    let found = bucket.objects.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after);
    for (key, object) in found {
        let (size, generation) = (object.bytes.len(), object.generation);
        body.push_str(&format!(
            "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>{}</LastModified><ETag>\"{generation:x}\"</ETag></Contents>",
            object.at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
        ));
    }
    body.push_str("</ListBucketResult>");
    Answer { status: 200, headers: vec![("Content-Type", "application/xml".into())], body: body.into_bytes() }
}

//! Something between the program and the platform that loses, delays, spoils and repeats what passes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::world::{CALLS, World, swift_platform, trials};

/// What happens to a call to unsubscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Reset before the platform sees it.
    ResetBefore,
    /// Ended in order before the platform sees it.
    CloseBefore,
    /// The platform does it, and its answer is lost.
    ResetAfter,
    /// The connection breaks in the middle of the answer.
    ResetMidAnswer,
    /// The answer comes late, and in order.
    Stall,
    /// The answer comes late, and only half of it.
    StallMidAnswer,
    /// The platform sees it twice; the second answer comes through.
    RepeatCall,
    /// The answer comes twice.
    RepeatAnswer,
    /// The answer comes, and comes again as if it were the next call's.
    AnswerNextAsWell,
    /// Something else answers, and the platform sees nothing.
    Answer(&'static str),
}

/// What is no answer of the platform, although some of it looks like one.
const GARBAGE: [&str; 15] = [
    "\x00\x01\x02\x03",
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"code\":",
    "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"code\":0}",
    "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"code\":\"0\"}",
    "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"code\":0}{\"code\":0}",
    "HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n{\"code\":0,\"code\":1390002}  ",
    "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n[{\"code\":0}]",
    "HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\n<html>{\"code\":0}</html>   ",
    "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 10\r\n\r\n{\"code\":0}",
    "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 10\r\n\r\n{\"code\":0}",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n{\"code\":0}\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
];

/// Faults that wait for a call, by its approval code.
type Faults = Arc<Mutex<BTreeMap<String, Vec<Fault>>>>;

struct Proxy {
    base_url: String,
    faults: Faults,
}

impl Proxy {
    /// Listens until the process ends; each connection has its own thread.
    fn start(platform: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let platform = platform.strip_prefix("http://").unwrap().to_owned();
        let faults = Faults::default();
        let shared = Arc::clone(&faults);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, platform, faults) = (client.unwrap(), platform.clone(), Arc::clone(&shared));
                std::thread::spawn(move || {
                    // A client that has gone is none of its business.
                    let _ = pass(client, &platform, &faults);
                });
            }
        });
        Self { base_url, faults }
    }

    fn add(&self, code: &str, fault: Fault) {
        self.faults.lock().unwrap().entry(code.into()).or_default().push(fault);
    }
}

/// Carries the requests of one connection over, one after the other.
fn pass(mut client: TcpStream, platform: &str, faults: &Faults) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut repeat: Option<Vec<u8>> = None;
    while let Some(request) = message(&mut client)? {
        if let Some(answer) = repeat.take() {
            client.write_all(&answer)?;
            continue;
        }
        let head = String::from_utf8_lossy(&request).into_owned();
        let code = head.split_once("/approvals/").and_then(|(_, rest)| rest.split_once("/unsubscribe"));
        let fault = code.and_then(|(code, _)| {
            let mut faults = faults.lock().unwrap();
            faults.get_mut(code).filter(|waiting| !waiting.is_empty()).map(|waiting| waiting.remove(0))
        });
        let ask = || -> std::io::Result<Vec<u8>> {
            let mut server = TcpStream::connect(platform)?;
            server.set_nodelay(true)?;
            server.write_all(&request)?;
            Ok(message(&mut server)?.unwrap_or_default())
        };
        let reset = |client: &TcpStream| {
            rustix::net::sockopt::set_socket_linger(client, Some(Duration::ZERO))
                .map_err(std::io::Error::from)
        };
        let Some(fault) = fault else {
            client.write_all(&ask()?)?;
            continue;
        };
        match fault {
            Fault::ResetBefore => return reset(&client),
            Fault::CloseBefore => return Ok(()),
            Fault::ResetAfter => {
                ask()?;
                return reset(&client);
            }
            Fault::ResetMidAnswer | Fault::StallMidAnswer => {
                let answer = ask()?;
                client.write_all(&answer[..answer.len() - 4])?;
                if fault == Fault::StallMidAnswer {
                    std::thread::sleep(Duration::from_millis(200));
                }
                return reset(&client);
            }
            Fault::Stall => {
                let answer = ask()?;
                std::thread::sleep(Duration::from_millis(200));
                client.write_all(&answer)?;
            }
            Fault::RepeatCall => {
                ask()?;
                client.write_all(&ask()?)?;
            }
            Fault::RepeatAnswer => {
                let answer = ask()?;
                client.write_all(&[&answer[..], &answer[..]].concat())?;
            }
            Fault::AnswerNextAsWell => {
                let answer = ask()?;
                client.write_all(&answer)?;
                repeat = Some(answer);
            }
            Fault::Answer(garbage) => {
                client.write_all(garbage.as_bytes())?;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One message, its body by `Content-Length`; none at the end of the connection.
fn message(stream: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let mut byte = [0];
    while !message.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        message.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&message).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    message.extend(body);
    Ok(Some(message))
}

/// The small apply's world, behind a proxy from the first import on.
fn behind_proxy() -> (World, Proxy) {
    let world = World::bare(swift_platform());
    let proxy = Proxy::start(&world.sandbox.base_url);
    world.prepare(&proxy.base_url);
    (world, proxy)
}

/// Whatever happened in between: what the ledger says is gone is gone.
fn check_honest(world: &World, what: &str) {
    for (key, facts) in world.truth() {
        if facts.status == "unsubscribed" {
            assert!(!world.lives(&key), "{what}: {key} is recorded as {:?}, and it lives", facts.kind);
        }
        if world.lives(&key) {
            assert!(matches!(&*facts.status, "subscribed" | "forgotten"), "{what}: {key}");
        }
    }
}

#[test]
fn whatever_happens_to_a_call_on_its_way_the_ledger_tells_what_was_done() {
    use Fault::*;
    let faults = [
        ResetBefore,
        CloseBefore,
        ResetAfter,
        ResetMidAnswer,
        Stall,
        StallMidAnswer,
        RepeatCall,
        RepeatAnswer,
        AnswerNextAsWell,
    ];
    trials(faults.len(), |number| {
        let fault = faults[number];
        let (world, proxy) = behind_proxy();
        proxy.add("A-DROP", fault);
        proxy.add("A-DROP", fault);
        let ran = world.run(&["apply", "--auto-approve"]).exits(3);
        assert_eq!(world.check(&ran), BTreeSet::new(), "{fault:?}");
        check_honest(&world, &format!("{fault:?}"));
        let truth = world.truth();
        let twice = if fault == RepeatCall { "already_unsubscribed" } else { "unsubscribed" };
        for key in ["hr/A-DROP", "isv/t2/A-DROP"] {
            assert_eq!(truth[key].kind.as_deref(), Some(twice), "{fault:?}: {key}");
        }
        if fault != RepeatCall {
            world.check_settled(&BTreeSet::new());
        }
    });
}

#[test]
fn garbage_is_never_taken_for_success() {
    trials(GARBAGE.len(), |number| {
        let garbage = GARBAGE[number];
        let (world, proxy) = behind_proxy();
        proxy.add("C-LOST", Fault::Answer(garbage));
        proxy.add("E-SERV", Fault::Answer(garbage));
        let ran = world.run(&["apply", "--auto-approve", "--format", "json"]).exits(3);
        world.check(&ran);
        check_honest(&world, garbage);
        let report = crate::world::json(&ran.stdout);
        for outcome in report["outcomes"].as_array().unwrap() {
            let is_spoiled = ["hr/C-LOST", "isv/t1/E-SERV"].contains(&outcome["key"].as_str().unwrap());
            assert_eq!(outcome["attempts"], if is_spoiled { 2 } else { 1 }, "{garbage:?}: {outcome}");
        }
        world.check_settled(&BTreeSet::new());
    });
}

#[test]
fn what_never_gets_an_answer_is_unknown_and_settled_once_there_are_answers() {
    let (world, proxy) = behind_proxy();
    for fault in [Fault::ResetBefore, Fault::ResetAfter, Fault::Answer(GARBAGE[6]), Fault::ResetMidAnswer] {
        proxy.add("E-SERV", fault);
    }
    for _ in 0..4 {
        proxy.add("A-DROP", Fault::ResetBefore);
        proxy.add("A-DROP", Fault::ResetBefore);
    }
    let ran = world.run(&["apply", "--auto-approve"]).exits(3).says(&["unknown"]);
    let unknown = world.check(&ran);
    assert_eq!(unknown.iter().collect::<Vec<_>>(), ["hr/A-DROP", "isv/t1/E-SERV", "isv/t2/A-DROP"]);
    check_honest(&world, "never an answer");
    assert!(world.lives("hr/A-DROP") && !world.lives("isv/t1/E-SERV"));
    let listed = world.plan();
    assert_eq!(listed["unknowns"].as_array().unwrap().len(), 3);
    let rerun = world.run(&["apply", "plan.json"]).exits(3);
    world.check(&rerun);
    world.check_settled(&BTreeSet::new());
    assert!(CALLS.iter().all(|key| !world.lives(key)));
}

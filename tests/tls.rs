//! A platform behind TLS whose authority only `--ca-bundle` or SSL_CERT_FILE names: the secret goes nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use assert_cmd::Command;
use assert_fs::TempDir;
use assert_fs::prelude::*;
use predicates::str::contains;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const SECRET: &str = "s3ntinel-behind-tls";

struct Platform {
    port: u16,
    authority: String,
    requests: Arc<Mutex<Vec<String>>>,
}

/// Answers a token and whatever is asked with it, as long as the test runs.
fn platform() -> Platform {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (config, seen) = (Arc::clone(&config), Arc::clone(&seen));
            std::thread::spawn(move || {
                let connection = ServerConnection::new(config).unwrap();
                // A client that does not trust us hangs up, which is what one of the tests is about.
                let _ = answer(StreamOwned::new(connection, stream.unwrap()), &seen);
            });
        }
    });
    Platform { port, authority: authority.pem(), requests }
}

fn answer<S: std::io::Read + std::io::Write>(stream: S, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    seen.lock().unwrap().push(format!("{head}\n{}", String::from_utf8_lossy(&body)));
    let body = match head.contains("tenant_access_token") {
        true => r#"{"code":0,"msg":"ok","tenant_access_token":"t-behind-tls","expire":7200}"#,
        false => r#"{"code":0,"msg":"success","data":{}}"#,
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.get_mut().write_all((head + body).as_bytes())?;
    stream.get_mut().flush()
}

fn larksub(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larksub"));
    command.current_dir(folder).env_clear().env("LARKSUB_APP_SECRET", SECRET);
    command
}

fn dropping_one(platform: &Platform) -> TempDir {
    let folder = TempDir::new().unwrap();
    let manifest =
        format!("[apps.hr]\napp_id = \"cli_tls\"\nbase_url = \"https://localhost:{}\"\n", platform.port);
    folder.child("larksub.toml").write_str(&manifest).unwrap();
    folder.child("authority.pem").write_str(&platform.authority).unwrap();
    larksub(&folder).arg("init").assert().success();
    larksub(&folder).args(["import", "--app", "hr", "CODE-1"]).assert().success();
    folder
}

#[test]
fn a_ca_bundle_is_trusted_beside_what_the_system_trusts() {
    let platform = platform();
    let folder = dropping_one(&platform);
    let apply = ["apply", "--auto-approve", "--ca-bundle", "authority.pem"];
    larksub(&folder).args(apply).assert().code(0).stdout(contains("unsubscribed         hr/CODE-1"));
    let requests = platform.requests.lock().unwrap();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests[1].to_ascii_lowercase().contains("authorization: bearer t-behind-tls"), "{requests:?}");
}

#[test]
fn the_systems_own_variable_names_an_authority_as_well() {
    let platform = platform();
    let folder = dropping_one(&platform);
    let mut apply = larksub(&folder);
    apply.args(["apply", "--auto-approve"]).env("SSL_CERT_FILE", folder.child("authority.pem").path());
    apply.assert().code(0);
}

#[test]
fn an_authority_that_nobody_trusts_is_never_told_the_secret() {
    let platform = platform();
    let folder = dropping_one(&platform);
    let before = std::fs::read(folder.child("larksub.state.jsonl").path()).unwrap();
    let apply = larksub(&folder).args(["apply", "--auto-approve"]).assert().code(6);
    apply.stderr(contains("certificate")).stderr(contains("--ca-bundle"));
    assert!(platform.requests.lock().unwrap().is_empty(), "something was sent");
    assert_eq!(std::fs::read(folder.child("larksub.state.jsonl").path()).unwrap(), before);
}

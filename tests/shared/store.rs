//! The stores that there are here, each behind a proxy, under a key that nothing else uses.

use crate::backend::{Backend, Style};
use crate::proxy::Proxy;
use crate::support::Scratch;

/// A place for one state.
pub struct Store {
    pub name: &'static str,
    pub url: String,
    pub proxy: Proxy,
    pub env: Vec<(String, String)>,
    /// How an append is told among the requests: method and a part of the path.
    pub append: (&'static str, &'static str),
    /// How the state is read: what every reading asks for.
    pub read: (&'static str, &'static str),
    pub backend: Option<Backend>,
}

impl Store {
    /// The program reaches this store from this folder.
    pub fn set(&self, scratch: &Scratch) {
        for (name, value) in &self.env {
            scratch.set(name, value);
        }
        scratch.set("LARKSUB_STATE", &self.url);
    }

    pub fn is_objects(&self) -> bool {
        self.backend.is_none()
    }

    pub fn http() -> Self {
        Self::http_of(Style::Terraform, "/states/one")
    }

    pub fn http_of(style: Style, path: &str) -> Self {
        let backend = Backend::start(style);
        let proxy = Proxy::before(&backend.address);
        Self {
            name: "http",
            url: format!("http://{}{path}", proxy.address),
            proxy,
            env: Vec::new(),
            append: ("POST", "?ID="),
            read: ("GET", "/states"),
            backend: Some(backend),
        }
    }

    /// moto's, where the address is given.
    pub fn s3() -> Option<Self> {
        let upstream = address("s3", "LARKSUB_TEST_S3", cfg!(feature = "s3"))?;
        let proxy = Proxy::before(&upstream);
        put(&upstream, "PUT /larksub-tests HTTP/1.1\r\n", "");
        let key = uuid::Uuid::new_v4();
        let env = [
            ("AWS_ACCESS_KEY_ID", "AKIATESTS"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL_S3", &format!("http://{}", proxy.address)),
        ];
        Some(Self {
            name: "s3",
            url: format!("s3://larksub-tests/{key}/approvals"),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            proxy,
            append: ("PUT", "/log/"),
            read: ("GET", "list-type"),
            backend: None,
        })
    }

    /// Azurite, where the address is given.
    pub fn azure() -> Option<Self> {
        let upstream = address("azure", "LARKSUB_TEST_AZURE", cfg!(feature = "azure"))?;
        let proxy = Proxy::before(&upstream);
        make_container(&upstream, "larksubtests");
        let key = uuid::Uuid::new_v4();
        let env = [
            ("AZURE_STORAGE_USE_EMULATOR", "true"),
            ("AZURITE_BLOB_STORAGE_URL", &format!("http://{}", proxy.address)),
        ];
        Some(Self {
            name: "azure",
            url: format!("az://larksubtests/{key}/approvals"),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            proxy,
            append: ("PUT", "/log/"),
            read: ("GET", "comp=list"),
            backend: None,
        })
    }

    /// A server of our own: there is no other one that a machine without an account could run.
    pub fn gcs() -> Option<Self> {
        if !cfg!(feature = "gcs") {
            skipped("no test of a shared state runs on gcs: it needs --features gcs");
            return None;
        }
        let proxy = Proxy::before(&crate::gcs::start());
        let env = [
            ("GOOGLE_BASE_URL", format!("http://{}", proxy.address)),
            // The key of an account that asks nobody for a token.
            (
                "GOOGLE_SERVICE_ACCOUNT_KEY",
                r#"{"private_key":"-","private_key_id":"-","client_email":"tests","disable_oauth":true}"#
                    .into(),
            ),
        ];
        Some(Self {
            name: "gcs",
            url: "gs://larksub-tests/one/approvals".into(),
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
            proxy,
            append: ("PUT", "/log/"),
            read: ("GET", "list-type"),
            backend: None,
        })
    }

    /// Every store that there is here.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::http()];
        all.extend(Self::s3());
        all.extend(Self::azure());
        all.extend(Self::gcs());
        all
    }
}

/// What must never be shown.
pub const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";

/// Says, once and past the test harness, that something did not run.
pub fn skipped(what: &str) {
    use std::io::Write as _;
    static SAID: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    let mut said = SAID.lock().unwrap();
    if !said.iter().any(|known| known == what) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
        said.push(what.to_owned());
    }
}

fn address(name: &str, variable: &str, is_built: bool) -> Option<String> {
    let address = std::env::var(variable).ok().filter(|_| is_built);
    if address.is_none() {
        skipped(&format!(
            "no test of a shared state runs on {name}: it needs --features {name} and {variable} (see .ci/run)"
        ));
    }
    address.map(|address| address.trim_start_matches("http://").trim_end_matches('/').to_owned())
}

fn put(upstream: &str, line: &str, headers: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(upstream).unwrap();
    let head = format!("{line}Host: {upstream}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The emulator's account is the same everywhere, and no secret.
fn make_container(upstream: &str, name: &str) {
    const KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let signed = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2021-08-06\n/devstoreaccount1/devstoreaccount1/{name}\nrestype:container"
    );
    let signature = crate::support::encodings::base64(&hmac(&unbase64(KEY), signed.as_bytes()));
    let headers = format!(
        "x-ms-date: {date}\r\nx-ms-version: 2021-08-06\r\nAuthorization: SharedKey devstoreaccount1:{signature}\r\n"
    );
    let line = format!("PUT /devstoreaccount1/{name}?restype=container HTTP/1.1\r\n");
    let answer = put(upstream, &line, &headers);
    assert!(answer.contains(" 201 ") || answer.contains(" 409 "), "{answer}");
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |with: u8| block.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = Sha256::digest([padded(0x36).as_slice(), text].concat());
    Sha256::digest([padded(0x5c).as_slice(), &inner].concat()).to_vec()
}

fn unbase64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut word, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        let digit = DIGITS.iter().position(|known| *known == byte).unwrap();
        word = word << 6 | u32::try_from(digit).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits & 0xff) as u8);
        }
    }
    out
}

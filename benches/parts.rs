//! What the parts of a plan cost in one process, each beside what its crate takes for the same text:
//! `cargo bench --bench parts`.

mod support;

use std::fs;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use larksub::manifest::{self, Manifest, Source};
use larksub::plan;
use larksub::state::read::{Reading, read};
use support::{Result, Scratch};
use toml::de::DeTable;

const TRACKED: [usize; 3] = [1000, 10_000, 100_000];

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if support::is_meant() {
        divan::main();
    }
}

/// The texts of a plan of so many, of which a tenth is to be dropped.
struct Texts {
    manifest: Source,
    ledger: Vec<u8>,
}

impl Texts {
    fn new(tracked: usize) -> Result<Self> {
        let scratch = Scratch::new(tracked, 1)?;
        let path = "larksub.toml".into();
        let manifest = Source { path, bytes: fs::read(scratch.manifest())? };
        Ok(Self { manifest, ledger: fs::read(scratch.ledger())? })
    }

    fn read(&self) -> Result<(Manifest, Reading)> {
        let manifest = manifest::parse(std::slice::from_ref(&self.manifest));
        let manifest = manifest.map_err(|problems| format!("{problems:?}"))?;
        Ok((manifest, read(&self.ledger)?))
    }
}

/// Measures work on the texts; a bench that cannot be prepared says so and is left out.
fn with<T>(bencher: Bencher<'_, '_>, prepared: Result<T>, work: impl FnOnce(Bencher<'_, '_>, T)) {
    match prepared {
        Ok(prepared) => work(bencher, prepared),
        Err(error) => eprintln!("not measured: {error}"),
    }
}

#[divan::bench(args = TRACKED)]
fn ledger_read(bencher: Bencher<'_, '_>, tracked: usize) {
    with(bencher, Texts::new(tracked), |bencher, texts| {
        bencher.counter(BytesCount::new(texts.ledger.len())).bench_local(|| read(black_box(&texts.ledger)));
    });
}

#[divan::bench(args = TRACKED)]
fn ledger_by_serde_json_value(bencher: Bencher<'_, '_>, tracked: usize) {
    with(bencher, Texts::new(tracked), |bencher, texts| {
        bencher.counter(BytesCount::new(texts.ledger.len())).bench_local(|| {
            for line in black_box(&texts.ledger).split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
            {
                let _ = black_box(serde_json::from_slice::<serde_json::Value>(line));
            }
        });
    });
}

#[divan::bench(args = TRACKED)]
fn manifest_parse(bencher: Bencher<'_, '_>, tracked: usize) {
    with(bencher, Texts::new(tracked), |bencher, texts| {
        let source = std::slice::from_ref(&texts.manifest);
        bencher
            .counter(BytesCount::new(texts.manifest.bytes.len()))
            .bench_local(|| manifest::parse(black_box(source)).is_ok());
    });
}

#[divan::bench(args = TRACKED)]
fn manifest_by_toml(bencher: Bencher<'_, '_>, tracked: usize) {
    with(bencher, Texts::new(tracked), |bencher, texts| {
        let text = String::from_utf8_lossy(&texts.manifest.bytes);
        bencher
            .counter(BytesCount::new(texts.manifest.bytes.len()))
            .bench_local(|| DeTable::parse(black_box(&text)).is_ok());
    });
}

#[divan::bench(args = TRACKED)]
fn plan_compute(bencher: Bencher<'_, '_>, tracked: usize) {
    with(bencher, Texts::new(tracked).and_then(|texts| texts.read()), |bencher, (manifest, reading)| {
        bencher
            .counter(ItemsCount::new(tracked))
            .bench_local(|| plan::compute(black_box(&manifest), &reading.state, &reading.lines, &[]));
    });
}

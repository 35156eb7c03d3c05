//! What starting the program costs: `cargo bench --bench start`.
//!
//! Each round starts `/bin/true`, `larksub --version` and a small plan in turn, as whole processes.

mod support;

use std::env;
use std::time::Duration;

use support::{MEASURE, Result, Run, Sample, Scratch, median, mib, milliseconds};

const ROUNDS: usize = 101;
const TRACKED: usize = 100;

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == MEASURE) {
        return support::measure(arguments.skip(1));
    }
    bench(if support::is_meant() { ROUNDS } else { 1 })
}

fn bench(rounds: usize) -> Result<()> {
    let scratch = Scratch::new(TRACKED, 1)?;
    let floor = Run::new("/bin/true", [""; 0]);
    let version = Run::larksub(["--version"]);
    let plan = scratch.larksub(["plan"]);
    let mut samples = Vec::new();
    for _ in 0..rounds {
        samples.push([floor.sample()?, version.sample()?, plan.sample()?]);
    }
    println!("| what, {rounds} runs | ms | ms above `/bin/true` | times `/bin/true` | peak MiB |");
    println!("| --- | --- | --- | --- | --- |");
    row("`/bin/true`, the floor", &samples, |[floor, _, _]| *floor);
    row("`larksub --version`", &samples, |[_, version, _]| *version);
    row(&format!("`larksub plan`, {TRACKED} tracked"), &samples, |[_, _, plan]| *plan);
    println!("\nthe peak of `/bin/true` is that of the process that measures it; no smaller one can be seen");
    Ok(())
}

fn row(name: &str, samples: &[[Sample; 3]], of: fn(&[Sample; 3]) -> Sample) {
    let middle = |value: &dyn Fn(&[Sample; 3]) -> f64| median(samples.iter().map(value)).unwrap_or(f64::NAN);
    let wall = |time: Duration| milliseconds(time);
    println!(
        "| {name} | {:.2} | {:.2} | {:.2} | {:.1} |",
        middle(&|round| wall(of(round).wall)),
        middle(&|[floor, version, plan]| wall(of(&[*floor, *version, *plan]).wall) - wall(floor.wall)),
        middle(&|[floor, version, plan]| { wall(of(&[*floor, *version, *plan]).wall) / wall(floor.wall) }),
        middle(&|round| mib(of(round).peak_kib)),
    );
}

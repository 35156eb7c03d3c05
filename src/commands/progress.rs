//! What is seen while a run goes on: a bar on a terminal, a line now and then elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::{Context, Verbosity};
use crate::render::{self, time};
use crate::report::Event;
use crate::text::shown;

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// How often what is left is shown anew: a lane that has used up its quota is silent for a minute.
pub const TICK: Duration = Duration::from_secs(1);

/// The progress of one run.
pub struct Progress<'a> {
    context: &'a Context,
    bar: ProgressBar,
    calls: u64,
    done: u64,
    last_line: Instant,
    /// When the run will be through.
    end: Instant,
    prints_outcomes: bool,
}

impl<'a> Progress<'a> {
    /// `prints_outcomes` says whether stdout takes a line for each outcome.
    pub fn new(context: &'a Context, prints_outcomes: bool) -> Self {
        let has_bar = context.stderr.is_terminal && context.verbosity > Verbosity::Quiet;
        let target = if has_bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        // The template is a constant of ours; without it the bar is merely plainer.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}") {
            bar.set_style(style.progress_chars("━╸ "));
        }
        let now = Instant::now();
        Self { context, bar, calls: 0, done: 0, last_line: now, end: now, prints_outcomes }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &Event) {
        let (stdout, stderr) = (self.context.stdout.paint, self.context.stderr.paint);
        match event {
            Event::Started { run: _, calls, estimate } => {
                self.calls = *calls;
                self.bar.set_length(*calls);
                self.ahead(*estimate);
                if *calls > 0 {
                    let calls = render::count(*calls, "call", "calls");
                    self.line(&format!("{calls}, {}", time::estimate(estimate.as_secs_f64().ceil() as u64)));
                }
            }
            Event::Settled { settled, remaining } => {
                self.done += 1;
                if self.prints_outcomes {
                    let columns = self.context.layout(false, 0).columns;
                    let line = format!("{}\n", render::report::outcome(settled, columns, stdout));
                    // The ledger holds it; a reader that has gone must not stop the run.
                    let _ = self.bar.suspend(|| self.context.print(&line));
                }
                if self.context.verbosity >= Verbosity::Debug {
                    let text = render::report::facts(settled);
                    self.bar.suspend(|| self.context.note(&text));
                }
                self.bar.set_position(self.done);
                self.ahead(*remaining);
            }
            Event::Paused { app, tenant_key, pause, remaining } => {
                let tenant = tenant_key.as_ref().map_or(String::new(), |tenant| format!("/{tenant}"));
                let text = format!(
                    "{app}{tenant}: the platform's rate limit; nothing is sent for {} s",
                    pause.as_secs()
                );
                self.bar.suspend(|| self.context.note(&text));
                self.ahead(*remaining);
            }
            Event::Stopped(stopped) => {
                let text = render::report::stopped(stopped, stderr);
                // An error is said however quiet the run is.
                self.bar.suspend(|| eprint_line(&text));
            }
        }
    }

    /// Shows what is left, whether anything happened or not.
    pub fn tick(&mut self) {
        if self.done >= self.calls {
            return;
        }
        let left = self.left();
        self.bar.set_message(shown(&left).into_owned());
        if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            self.line(&format!("{} of {} calls, {left} to go", self.done, self.calls));
        }
    }

    /// Takes the bar away.
    pub fn end(self) {
        self.bar.finish_and_clear();
    }

    fn ahead(&mut self, remaining: Duration) {
        self.end = Instant::now() + remaining;
        self.bar.set_message(shown(&self.left()).into_owned());
    }

    fn left(&self) -> String {
        let left = self.end.saturating_duration_since(Instant::now());
        time::estimate(left.as_secs_f64().ceil() as u64)
    }

    fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            self.context.note(text);
        }
    }
}

fn eprint_line(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

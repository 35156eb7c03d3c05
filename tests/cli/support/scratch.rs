//! A scratch folder in which the program runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use assert_fs::TempDir;
use rustix::process::{Pid, Signal, kill_process};

use super::ledger::Ledger;
use super::normal::normal;
use super::platform::until;

/// The whole of what a run of the program left behind.
#[derive(Debug)]
pub struct Ran {
    pub command: String,
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A folder, an environment, and everything the program said there.
pub struct Scratch {
    folder: TempDir,
    env: RefCell<BTreeMap<String, String>>,
    transcript: RefCell<String>,
    said: RefCell<String>,
}

/// The `number`th approval code; codes sort as their numbers do.
pub fn code(number: usize) -> String {
    format!("{number:08}-AAAA-BBBB-CCCC-DDDDDDDDDDDD")
}

/// A manifest of one custom app, `hr`, with these codes declared.
pub fn manifest<T: AsRef<str>>(url: &str, codes: &[T]) -> String {
    let mut text = format!("[apps.hr]\napp_id = \"cli_hr\"\nbase_url = \"{url}\"\n");
    for code in codes {
        text.push_str(&format!("\n[[apps.hr.subscriptions]]\napproval_code = \"{}\"\n", code.as_ref()));
    }
    text
}

impl Scratch {
    /// An empty folder, an empty environment.
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            env: RefCell::default(),
            transcript: RefCell::default(),
            said: RefCell::default(),
        }
    }

    /// A folder in which app `hr` at `url` tracks and declares these codes, with its secret in the environment.
    pub fn tracking<T: AsRef<str>>(url: &str, codes: &[T]) -> Self {
        let scratch = Self::new();
        scratch.write("larksub.toml", manifest(url, codes));
        scratch.run("init").exit(0);
        scratch.run("import --declared").exit(0);
        scratch.set("LARKSUB_APP_SECRET", "any-secret");
        scratch
    }

    /// The same, where none of them is declared any more but those in `kept`, and as many may go.
    pub fn dropping<T: AsRef<str>>(url: &str, codes: &[T], kept: &[&str]) -> Self {
        let scratch = Self::tracking(url, codes);
        let policy = "[policy]\nmax_drop_percent = 100\n\n";
        scratch.write("larksub.toml", policy.to_owned() + &manifest(url, kept));
        scratch
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, with the folders that it needs.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A file's bytes.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A file's text.
    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    /// A JSON file.
    pub fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&self.bytes(name)).unwrap()
    }

    /// The state's bytes.
    pub fn state(&self) -> Vec<u8> {
        self.bytes("larksub.state.jsonl")
    }

    /// The state as an outsider reads it.
    pub fn ledger(&self) -> Ledger {
        Ledger::read(&self.text("larksub.state.jsonl"))
    }

    /// The names of the folder's files, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Fails where one of these texts stands in anything that was printed or in any file of the folder.
    #[track_caller]
    pub fn nowhere(&self, texts: &[String]) {
        let files = self.names().into_iter().map(|name| {
            let text = String::from_utf8_lossy(&self.bytes(&name)).into_owned();
            (name, text)
        });
        for (place, text) in files.chain([("what was printed".to_owned(), self.said())]) {
            for secret in texts {
                assert!(!text.contains(secret), "`{secret}` stands in {place}:\n{text}");
            }
        }
    }

    /// Everything that every run printed so far.
    pub fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// Sets a variable for the runs that follow.
    pub fn set(&self, variable: &str, value: &str) -> &Self {
        self.env.borrow_mut().insert(variable.into(), value.into());
        self
    }

    /// Unsets one.
    pub fn unset(&self, variable: &str) -> &Self {
        self.env.borrow_mut().remove(variable);
        self
    }

    /// The program with the words of `line`, started in the folder; `"` groups words.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larksub"));
        command.args(words(line));
        self.surround(&mut command);
        command
    }

    /// Folder, environment and streams of a command.
    pub fn surround(&self, command: &mut Command) {
        command.current_dir(self.folder.path()).env_clear().envs(self.env.borrow().iter());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// Runs the program to its end.
    pub fn run(&self, line: &str) -> Ran {
        self.spawn(line).wait()
    }

    /// The same with bytes on stdin.
    pub fn run_fed(&self, line: &str, stdin: &[u8]) -> Ran {
        self.write(".stdin", stdin);
        let mut command = self.command(line);
        command.stdin(fs::File::open(self.path(".stdin")).unwrap());
        fs::remove_file(self.path(".stdin")).unwrap();
        self.start(line, command).wait()
    }

    /// Runs the program to its end, and leaves it out of the transcript.
    pub fn aside(&self, line: &str) -> Ran {
        let transcript = self.transcript.borrow().clone();
        let ran = self.run(line);
        self.transcript.replace(transcript);
        ran
    }

    /// Starts the program.
    pub fn spawn(&self, line: &str) -> Running<'_> {
        self.start(line, self.command(line))
    }

    /// Starts a command that is shown as `line`.
    pub fn start(&self, line: &str, mut command: Command) -> Running<'_> {
        Running { scratch: self, line: line.into(), child: command.spawn().unwrap() }
    }

    fn note(&self, ran: &Ran) {
        let Ran { command, status, stdout, stderr } = ran;
        self.said.borrow_mut().push_str(&format!("{stdout}{stderr}"));
        let folder = self.folder.path().display().to_string();
        let text = format!("$ larksub {command}\n{}{}", part("", stdout), part("! ", stderr));
        let text = normal(&text.replace(&folder, "[FOLDER]"));
        let status = status.map_or("killed".into(), |status| status.to_string());
        self.transcript.borrow_mut().push_str(&format!("{text}= {status}\n\n"));
    }

    /// Leaves what was said so far out of the transcript.
    pub fn begin_transcript(&self) {
        self.transcript.borrow_mut().clear();
    }

    /// Compares everything that was run since the transcript began with `tests/cli/transcripts/NAME.txt`.
    pub fn transcript(&self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cli/transcripts/{name}.txt"));
        let text = self.transcript.borrow().trim_end().to_owned() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            text == expected,
            "{} differs (UPDATE=1 writes it anew)\n--- expected\n{expected}\n--- now\n{text}",
            path.display()
        );
    }
}

/// Output with a mark before each line of it; outcomes side by side are sorted, since calls may overtake each other.
fn part(mark: &str, text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let is_outcome = |line: &str| {
        ["unsubscribed ", "already_unsubscribed ", "not_found ", "failed ", "unknown "]
            .iter()
            .any(|word| line.starts_with(word))
    };
    for block in lines.chunk_by_mut(|one, next| is_outcome(one) && is_outcome(next)) {
        block.sort_unstable();
    }
    lines.iter().map(|line| format!("{mark}{line}").trim_end().to_owned() + "\n").collect()
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (position, piece) in line.split('"').enumerate() {
        if position % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(ToOwned::to_owned));
        }
    }
    words
}

/// A program that was started.
pub struct Running<'a> {
    scratch: &'a Scratch,
    line: String,
    child: Child,
}

impl Running<'_> {
    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub fn wait(self) -> Ran {
        let Self { scratch, line, child } = self;
        let output: Output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what is printed is UTF-8");
        let ran = Ran {
            command: line,
            status: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        scratch.note(&ran);
        ran
    }

    /// Waits until something is so, while it runs.
    pub fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        until(what, is_so);
    }

    /// Waits for its end and checks that it comes soon.
    pub fn wait_at_most(self, time: Duration) -> Ran {
        let begun = Instant::now();
        let ran = self.wait();
        assert!(begun.elapsed() < time, "took {:?}: {ran}", begun.elapsed());
        ran
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, status, stdout, stderr } = self;
        write!(f, "$ larksub {command}\n--- stdout\n{stdout}--- stderr\n{stderr}--- status {status:?}")
    }
}

impl Ran {
    /// Checks the exit status.
    #[track_caller]
    pub fn exit(&self, status: i32) -> &Self {
        assert_eq!(self.status, Some(status), "{self}");
        assert!(!self.stderr.contains("panicked"), "{self}");
        self
    }

    /// Checks that stdout or stderr contains each of these.
    #[track_caller]
    pub fn says<const N: usize>(&self, texts: [&str; N]) -> &Self {
        for text in texts {
            assert!(self.stdout.contains(text) || self.stderr.contains(text), "`{text}` is not said\n{self}");
        }
        self
    }

    /// Checks that neither contains any of these.
    #[track_caller]
    pub fn never_says<const N: usize>(&self, texts: [&str; N]) -> &Self {
        for text in texts {
            assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "`{text}` is said\n{self}");
        }
        self
    }

    /// stdout as one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

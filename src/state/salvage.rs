//! What can be proved of a damaged ledger, or gained from a second copy of one. Pure.
//!
//! Every line whose checksum is right was written by us and is believed; what lies between such lines is lost, and
//! said to be. A record that cannot follow what is known is not made to fit, with two exceptions: an outcome
//! proves that its call was made, and an intent that its run was begun, even where the line that said so is lost.

use super::fold::Impossible;
use super::line::{Line, read_line, sound_crc};
use super::read::{Contains, Lines};
use super::record::{By, Intent, Outcome, Record, Run, Str};
use super::sum::{State, Status};

/// What a ledger's bytes can be believed to say.
#[derive(Debug)]
pub struct Salvage {
    /// How many bytes, from the first on, stand as they are.
    pub sound_len: usize,
    /// `seq` of the last line within them.
    pub serial: u64,
    /// Whether that line's batch goes on: then another line has to follow, even an empty one.
    pub ends_open: bool,
    /// What the later lines prove, to be written anew after them.
    pub regained: Vec<Record<'static>>,
    /// The lines, or remains of lines, that say nothing any more.
    pub lost: Vec<Lost>,
    /// Records that cannot follow what is known, in words.
    pub unproven: Vec<String>,
    /// What it all adds up to.
    pub state: State,
}

/// A stretch of a ledger that says nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
}

/// Reads what can be believed of a damaged ledger; none where not even its first line can.
pub fn salvage(bytes: &[u8]) -> Option<Salvage> {
    let pieces = pieces(bytes);
    let mut rest = pieces.iter();
    let first = rest.next().filter(|piece| piece.offset == 0)?;
    let mut records = first.line.as_ref()?.records.clone().into_iter();
    let Some(Record::Init(init)) = records.next() else { return None };
    let serial = first.line.as_ref()?.seq;
    let mut salvage = Salvage {
        sound_len: 0,
        serial,
        ends_open: false,
        regained: Vec::new(),
        lost: Vec::new(),
        unproven: Vec::new(),
        state: State::begin(init, serial),
    };
    let mut later: Vec<&Line<'_>> = Vec::new();
    let mut partly = None;
    for piece in &pieces {
        let Some(line) = &piece.line else {
            salvage.lost.push(Lost { offset: piece.offset as u64, len: piece.len as u64 });
            continue;
        };
        let is_first = piece.offset == 0;
        let is_next = is_first || line.seq == salvage.serial.saturating_add(1);
        let is_whole = salvage.lost.is_empty() && later.is_empty() && is_next && piece.is_ended;
        if !is_whole {
            later.push(line);
            continue;
        }
        let records = line.records.iter().skip(usize::from(is_first)).cloned().collect();
        let (taken, rest) = take(&mut salvage.state, records);
        if !rest.is_empty() {
            // Its records are written anew, so none of them may be folded twice.
            salvage.regained.extend(taken.into_iter().map(Record::into_owned));
            salvage.take_in(rest);
            partly = Some(line.seq);
            later.push(line);
            continue;
        }
        salvage.sound_len = piece.offset + piece.len + 1;
        salvage.serial = line.seq;
        salvage.state.serial = line.seq;
        salvage.ends_open = line.more;
    }
    // Lines may have been moved or repeated; `seq` says in which order they were written, and each counts once.
    let mut last = salvage.serial;
    later.sort_by_key(|line| line.seq);
    for line in later {
        if line.seq > last {
            last = line.seq;
            if partly != Some(line.seq) {
                salvage.take_in(line.records.clone());
            }
        }
    }
    Some(salvage)
}

impl Salvage {
    fn take_in(&mut self, records: Vec<Record<'_>>) {
        let (regained, unproven) = regain(&mut self.state, records);
        self.regained.extend(regained);
        self.unproven.extend(unproven);
    }
}

/// Folds records into a state up to the first that cannot follow; back come those that were, and the others.
fn take<'a>(state: &mut State, records: Vec<Record<'a>>) -> (Vec<Record<'a>>, Vec<Record<'a>>) {
    let mut rest = records.into_iter().peekable();
    let mut taken = Vec::new();
    while let Some(record) = rest.next_if(|record| state.fold(record.clone()).is_ok()) {
        taken.push(record);
    }
    (taken, rest.collect())
}

/// Folds records into a state as far as they can be believed. Back come those that were, with what had to be
/// added so that they can follow, and the others in words.
pub fn regain(state: &mut State, records: Vec<Record<'_>>) -> (Vec<Record<'static>>, Vec<String>) {
    let mut regained = Vec::new();
    let mut unproven = Vec::new();
    for record in records {
        let record = record.into_owned();
        if is_known(state, &record) {
            continue;
        }
        if let Some(why) = superseded(state, &record) {
            unproven.push(why);
            continue;
        }
        for implied in implied(state, &record) {
            if state.fold(implied.clone()).is_ok() {
                regained.push(implied);
            }
        }
        match state.fold(record.clone()) {
            Ok(()) => regained.push(record),
            Err(Impossible(why)) => unproven.push(why),
        }
    }
    (regained, unproven)
}

/// What is known already adds nothing: a second `init`, a run or an end told twice.
fn is_known(state: &State, record: &Record<'_>) -> bool {
    match record {
        Record::Init(_) | Record::Unknown(_) => true,
        Record::Run(run) => state.run_facts(&run.run).is_some(),
        Record::End(end) => state.run_facts(&end.run).is_none_or(|run| run.end.is_some()),
        _ => false,
    }
}

/// A subscription that this state knows to be gone since is not brought back by an older record of another copy.
fn superseded(state: &State, record: &Record<'_>) -> Option<String> {
    let Record::Track(track) = record else { return None };
    let (index, _) = state.app_labelled(&track.app)?;
    let known = state.subscription(index, track.tenant_key.as_ref(), &track.approval_code)?;
    let is_gone = known.status != Status::Subscribed && known.changed_at >= track.at;
    is_gone.then(|| {
        format!("`track` of {}/{}, which is {} since", track.app, track.approval_code, known.status.as_str())
    })
}

/// What a record proves that the state does not know: the call of an outcome, the run of an intent.
fn implied(state: &State, record: &Record<'static>) -> Vec<Record<'static>> {
    let mut implied = Vec::new();
    let (run, at) = match record {
        Record::Intent(Intent { run, at, .. }) | Record::Outcome(Outcome { run, at, .. }) => (*run, *at),
        _ => return implied,
    };
    if state.run_facts(&run).is_none() {
        let plan_digest = Str::from(String::from("unknown"));
        implied.push(Record::Run(Run { at, run, plan_digest, overrides: Vec::new(), by: By::default() }));
    }
    if let Record::Outcome(Outcome { app, tenant_key, approval_code, .. }) = record {
        let known = state.app_labelled(app);
        let known =
            known.and_then(|(index, _)| state.subscription(index, tenant_key.as_ref(), approval_code));
        let has_intent =
            known.and_then(|known| known.own_intent.as_ref()).is_some_and(|intent| intent.run == run);
        if !has_intent {
            let (app, tenant_key, approval_code) = (app.clone(), tenant_key.clone(), approval_code.clone());
            implied.push(Record::Intent(Intent { at, run, app, tenant_key, approval_code }));
        }
    }
    implied
}

/// What the lines of another copy of the same ledger add to this one.
#[derive(Debug)]
pub enum Merged {
    /// These records, and what cannot follow what is known, in words.
    Added(Vec<Record<'static>>, Vec<String>),
    /// It is no copy of the same ledger.
    OtherLineage,
    /// This ledger was compacted after the last line that the two have in common, so nobody can say which that was.
    Compacted,
}

/// Folds what another copy knows beyond this one into the state: everything after the last line in common.
pub fn merge(state: &mut State, ours: &Lines, other: &[u8], theirs: &State) -> Merged {
    if theirs.lineage != state.lineage {
        return Merged::OtherLineage;
    }
    let mut records = Vec::new();
    let (mut has_common, mut has_older) = (false, false);
    for piece in pieces(other) {
        let Some(line) = piece.line else { continue };
        let crc = other.get(piece.offset..piece.offset + piece.len).and_then(sound_crc).unwrap_or_default();
        match ours.contains(line.seq, crc) {
            Contains::Yes => has_common = true,
            Contains::Compacted => has_older = true,
            Contains::Other | Contains::EndsBefore => {
                records.extend(line.records.into_iter().map(Record::into_owned));
            }
        }
    }
    if has_older && !has_common {
        return Merged::Compacted;
    }
    let (regained, unproven) = regain(state, records);
    Merged::Added(regained, unproven)
}

/// A stretch of the file: a line whose checksum is right, or bytes that are none.
struct Piece<'a> {
    offset: usize,
    len: usize,
    /// Whether a line break follows.
    is_ended: bool,
    line: Option<Line<'a>>,
}

/// The bytes cut into sound lines, wherever they begin, and what lies between them.
fn pieces(bytes: &[u8]) -> Vec<Piece<'_>> {
    const BEGIN: &[u8] = b"{\"seq\":";
    let mut pieces = Vec::new();
    let mut offset = 0;
    for text in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line = text.strip_suffix(b"\n").unwrap_or(text);
        let is_ended = text.len() > line.len();
        match sound(line) {
            Some(read) => pieces.push(Piece { offset, len: line.len(), is_ended, line: Some(read) }),
            None => {
                let starts: Vec<usize> = line
                    .windows(BEGIN.len())
                    .enumerate()
                    .filter(|(_, window)| *window == BEGIN)
                    .map(|(at, _)| at)
                    .chain([line.len()])
                    .collect();
                let before = starts.first().copied().unwrap_or(0);
                let stretches =
                    std::iter::once((0, before)).chain(starts.windows(2).filter_map(|pair| match pair {
                        [from, to] => Some((*from, *to)),
                        _ => None,
                    }));
                for (from, to) in stretches.filter(|(from, to)| from < to) {
                    let stretch = line.get(from..to).unwrap_or_default();
                    pieces.extend(cut_stretch(stretch, offset + from));
                }
            }
        }
        offset += text.len();
    }
    pieces
}

/// A stretch that begins like a line: perhaps a sound one with something behind it.
fn cut_stretch(stretch: &[u8], offset: usize) -> Vec<Piece<'_>> {
    const END: &[u8] = b",\"crc\":\"";
    let ends = stretch.windows(END.len()).enumerate().filter(|(_, window)| *window == END);
    for end in ends.map(|(at, _)| at + END.len() + 10) {
        let Some((line, rest)) = stretch.split_at_checked(end) else { continue };
        if let Some(read) = sound(line) {
            let mut pieces = vec![Piece { offset, len: line.len(), is_ended: false, line: Some(read) }];
            if !rest.is_empty() {
                pieces.push(Piece { offset: offset + end, len: rest.len(), is_ended: false, line: None });
            }
            return pieces;
        }
    }
    vec![Piece { offset, len: stretch.len(), is_ended: false, line: None }]
}

fn sound(line: &[u8]) -> Option<Line<'_>> {
    sound_crc(line)?;
    read_line(line).ok()
}

//! What an apply came to as a comment in a pull or merge request: what needs a person first, what is done folded away.

use std::fmt::Write as _;

use super::{
    CameTo, Ending, NotBegun, TO_LOOK_AT, WHAT_TO_DO_WITH_PENDING, busiest, of_kind, verdict, what_to_do,
    word,
};
use crate::render::markdown::escape::{NAME, SENTENCE, code, prose};
use crate::render::markdown::sections::{fold, foreign, table};
use crate::render::markdown::{Comment, LEAST_CHARS, is_key};
use crate::render::{count, grouped, time};
use crate::report::{LaneReport, Report, Settled, Stopped, Unrecorded};
use crate::state::OutcomeKind;
use crate::text::cut;

/// How many rows there is room for.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// Of each list that a person has to look at.
    urgent: usize,
    /// Of what is done.
    done: usize,
}

impl Room {
    /// How long a sentence may be.
    fn sentence(self) -> usize {
        if self.urgent == 0 { 60 } else { SENTENCE }
    }
}

/// The comment: at most `max_chars` characters.
pub fn text(ending: &Ending<'_>, comment: &Comment<'_>) -> String {
    let max_chars = comment.max_chars.max(LEAST_CHARS);
    // No row is shorter than twenty characters.
    let most_rows = max_chars / 20;
    let fits = |room| write(ending, comment, room).chars().count() <= max_chars;
    let room = |urgent, done| Room { urgent, done };
    let most = |fits: &dyn Fn(usize) -> bool| {
        let (mut fitting, mut beyond) = (0, most_rows + 1);
        while beyond - fitting > 1 {
            let middle = fitting + (beyond - fitting) / 2;
            match fits(middle) {
                true => fitting = middle,
                false => beyond = middle,
            }
        }
        fitting
    };
    // What is done gives way first.
    let urgent = most(&|urgent| fits(room(urgent, 0)));
    let done = if urgent == most_rows { most(&|done| fits(room(urgent, done))) } else { 0 };
    write(ending, comment, room(urgent, done))
}

fn write(ending: &Ending<'_>, comment: &Comment<'_>, room: Room) -> String {
    let mut out = String::new();
    match ending.came_to {
        CameTo::Ran(report) => ran(ending, report, room, &mut out),
        CameTo::NotBegun(why) => not_begun(ending, why, room, &mut out),
    }
    foot(ending, comment, room, &mut out);
    out
}

fn ran(ending: &Ending<'_>, report: &Report, room: Room, out: &mut String) {
    let _ = writeln!(out, "### {}", verdict(ending));
    unrecorded(report, room, out);
    stops(&report.stopped, room, out);
    let owners = ending.owners();
    for kind in TO_LOOK_AT {
        let settled = of_kind(report, kind);
        if settled.is_empty() {
            continue;
        }
        let _ =
            writeln!(out, "\n#### {} ({})\n\n{}\n", capital(kind), settled.len(), prose(what_to_do(kind)));
        let rows = settled.iter().map(|settled| {
            let owner = owners.get(&settled.key).and_then(|[owner, _]| *owner).map(ToOwned::to_owned);
            let [key, name, code, msg, log_id, how] = row(settled);
            [key, name, foreign(&owner, NAME), code, msg, log_id, how]
        });
        table(["subscription", "name", "owner", "code", "message", "log id", "how"], rows, room.urgent, out);
        fold(settled.len(), room.urgent, "here", EVERYTHING, out);
    }
    if !report.pending.is_empty() {
        let pending = report.pending.len();
        let _ = writeln!(out, "\n#### Not sent ({})\n\n{WHAT_TO_DO_WITH_PENDING}\n", grouped(pending as u64));
        let rows = report.pending.iter().map(|key| [format!("`{key}`")]);
        table(["subscription"], rows, room.urgent, out);
        fold(pending, room.urgent, "here", EVERYTHING, out);
    }
    done(report, room, out);
    pace(report, room, out);
}

/// Where everything stands that a comment leaves out.
const EVERYTHING: &str = "`larksub state history`";

fn capital(kind: OutcomeKind) -> String {
    let word = word(kind);
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

fn row(settled: &Settled) -> [String; 6] {
    let Settled { key, name, kind: _, code: number, msg, log_id, http_status, attempts, reason, at } =
        settled;
    let mut how = Vec::new();
    how.extend(reason.as_deref().and_then(|reason| code(reason, SENTENCE)));
    // 200 is how the platform answers most of what goes wrong, too: its code tells more.
    how.extend(http_status.filter(|status| *status != 200).map(|status| format!("HTTP {status}")));
    if *attempts != 1 {
        how.push(count(u64::from(*attempts), "try", "tries"));
    }
    how.push(time::minute(*at));
    let or_nothing =
        |text: &Option<String>, most| text.as_deref().and_then(|text| code(text, most)).unwrap_or_default();
    [
        format!("`{key}`"),
        foreign(name, NAME),
        number.map_or(String::new(), |number| number.to_string()),
        or_nothing(msg, SENTENCE),
        or_nothing(log_id, NAME),
        how.join(", "),
    ]
}

fn unrecorded(report: &Report, room: Room, out: &mut String) {
    let Some(Unrecorded { cause, outcomes, records: _ }) = &report.unrecorded else { return };
    let cause = code(cause, room.sentence()).unwrap_or_default();
    let _ = writeln!(
        out,
        "\n**The state could not be written**: {cause}. What stands here is true, and the state has it as unknown; the log of the job has recovery lines for `larksub state repair --recovery`.\n"
    );
    let rows = outcomes.iter().map(|settled| {
        let [key, name, code, msg, log_id, how] = row(settled);
        [format!("**{}**", word(settled.kind)), key, name, code, msg, log_id, how]
    });
    table(
        ["true outcome", "subscription", "name", "code", "message", "log id", "how"],
        rows,
        room.urgent,
        out,
    );
    fold(outcomes.len(), room.urgent, "not recorded", "the log of the job", out);
}

fn stops(stopped: &[Stopped], room: Room, out: &mut String) {
    if stopped.is_empty() {
        return;
    }
    let rows = stopped.iter().map(|stopped| {
        let Stopped { app, tenant_key, reason, says, hint, troubleshooter } = stopped;
        let tenant = tenant_key.as_ref().map_or(String::new(), |tenant| format!("/{tenant}"));
        let see = troubleshooter.as_deref().and_then(|link| code(link, SENTENCE));
        let see = see.map_or(String::new(), |link| format!("; see {link}"));
        [format!("`{app}{tenant}`"), format!("**`{reason}`**"), prose(says), format!("{}{see}", prose(hint))]
    });
    out.push('\n');
    table(["stopped", "by", "found", "to go on"], rows, room.urgent, out);
    fold(stopped.len(), room.urgent, "were stopped", EVERYTHING, out);
}

fn done(report: &Report, room: Room, out: &mut String) {
    let is_done = |kind| matches!(kind, OutcomeKind::Unsubscribed | OutcomeKind::AlreadyUnsubscribed);
    let settled: Vec<&Settled> = report.settled.iter().filter(|settled| is_done(settled.kind)).collect();
    if settled.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n<details><summary>Done ({})</summary>\n", grouped(settled.len() as u64));
    let rows = settled.iter().map(|settled| {
        let [key, name, _, _, _, how] = row(settled);
        [word(settled.kind).into(), key, name, how]
    });
    table(["outcome", "subscription", "name", "when"], rows, room.done, out);
    fold(settled.len(), room.done, "here", EVERYTHING, out);
    out.push_str("\n</details>\n");
}

fn pace(report: &Report, room: Room, out: &mut String) {
    let lanes: Vec<&LaneReport> = report.lanes.iter().filter(|lane| !lane.answered.is_empty()).collect();
    if lanes.is_empty() {
        return;
    }
    let most = room.urgent.min(5);
    out.push('\n');
    for lane in lanes.iter().take(most) {
        let tenant = lane.tenant_key.as_ref().map_or(String::new(), |tenant| format!("/{tenant}"));
        let answers = count(lane.answered.len() as u64, "answer", "answers");
        let _ = writeln!(out, "- `{}{tenant}`: {answers}, {}", lane.app, busiest(lane));
    }
    if lanes.len() > most {
        let _ = writeln!(out, "- and {} more apps and tenants", grouped((lanes.len() - most) as u64));
    }
}

fn not_begun(ending: &Ending<'_>, why: &NotBegun, room: Room, out: &mut String) {
    let NotBegun { title, causes, hints, drawing, difference } = why;
    let _ = writeln!(
        out,
        "### Nothing was sent: {}; exit {}",
        prose(&cut(title, room.sentence() * 2)),
        ending.exit.code()
    );
    let most = room.urgent.clamp(1, 20);
    // In a cell nothing begins a list or a block.
    for (head, texts) in [("why", causes), ("what to do", hints)] {
        if !texts.is_empty() {
            out.push('\n');
        }
        table([head], texts.iter().map(|text| [prose(&cut(text, room.sentence()))]), most, out);
        fold(texts.len(), most, "here", "the log of the job", out);
    }
    if !drawing.is_empty() {
        out.push_str("\nThe log of the job shows each place.\n");
    }
    if let Some(difference) = difference {
        let lines: Vec<&str> = difference.lines().skip(1).collect();
        let head = difference.lines().next().unwrap_or_default();
        let _ = writeln!(out, "\n{}\n", prose(&cut(head, room.sentence())));
        let rows = lines.iter().filter_map(|line| code(line, SENTENCE)).map(|line| [line]);
        table(["difference"], rows, room.urgent, out);
        fold(lines.len(), room.urgent, "differences", "the log of the job", out);
    }
}

/// What stands beneath in every comment, folded or not.
fn foot(ending: &Ending<'_>, comment: &Comment<'_>, room: Room, out: &mut String) {
    let most = room.urgent.clamp(1, 20);
    let given: Vec<String> = ending
        .overrides
        .iter()
        .take(most)
        .filter_map(|given| code(&format!("{} {}", given.flag.as_str(), given.value), NAME))
        .collect();
    if !given.is_empty() {
        let more = ending.overrides.len().saturating_sub(most);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = writeln!(out, "\nAllowed by name: {}{more}", given.join(", "));
    }
    let run = ending.report().and_then(|report| report.run);
    let told =
        [ending.digest.map(|digest| format!("Digest `{digest}`")), run.map(|run| format!("run `{run}`"))];
    let told: Vec<String> = told.into_iter().flatten().collect();
    if !told.is_empty() {
        let _ = writeln!(out, "\n{}", told.join(", "));
    }
    match ending.again {
        // A command that is cut is another one.
        Some(again) if again.chars().count() > 600 => out.push_str("\nTo go on: the same command again.\n"),
        Some(again) => {
            let _ = writeln!(out, "\nTo go on:\n\n```sh\n{again}\n```");
        }
        None => {}
    }
    let lineage = ending.lineage.map(|lineage| lineage.to_string());
    let key = comment.key.filter(|key| is_key(key)).or(lineage.as_deref()).unwrap_or("none");
    let digest = ending.digest.map_or(String::new(), |digest| format!(" digest={digest}"));
    let run = run.map_or(String::new(), |run| format!(" run={run}"));
    let _ = writeln!(out, "\n<!-- larksub-apply key={key}{digest}{run} -->");
}

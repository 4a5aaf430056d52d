//! From facts to words: a pure function.

use chrono::{TimeDelta, Utc};

use super::facts::{Decision, Entry, Facts, Mark, Then, Told};
use crate::{
    ledger::{Decided, Pause},
    queue::LiveThen,
    requests::words::{clock, count, length, second, utc},
    slots::Shift,
};

/// Planners look every few seconds; a slot that waits for longer waits for something.
const PROMPT: TimeDelta = TimeDelta::seconds(15);
/// Who was not heard of for so long is not there.
const SILENT: TimeDelta = TimeDelta::minutes(2);

/// How it stands with an instant: what all words begin with.
enum Standing<'a> {
    Decided(&'a Decision),
    NoFiles,
    Absent(&'a Mark, Option<&'a Mark>),
    Unreadable(&'a Mark, &'a str),
    NoSlot(&'a Entry),
    Off(&'a Entry),
    ToCome(&'a Entry),
    Undecided,
    Unrecorded(&'a Entry),
}

impl<'a> Standing<'a> {
    fn of(facts: &'a Facts) -> Self {
        if let Some(decision) = &facts.decision {
            // A range covers times between its slots, too.
            let slot = match &facts.then {
                Then::There(entry) => entry.slot,
                _ => decision.slot.nominal_at == facts.at || decision.slot.until == facts.at,
            };
            if slot {
                return Self::Decided(decision);
            }
        }
        match &facts.then {
            Then::NoFiles => Self::NoFiles,
            Then::Absent { followed, first } => Self::Absent(followed, first.as_ref()),
            Then::Unreadable { followed, problem } => Self::Unreadable(followed, problem),
            Then::There(entry) if !entry.slot => Self::NoSlot(entry),
            Then::There(entry) if !entry.enabled => Self::Off(entry),
            Then::There(entry) if entry.start > facts.planning.now => Self::ToCome(entry),
            Then::There(_) if facts.watermark.is_none_or(|watermark| watermark < facts.at) => Self::Undecided,
            Then::There(entry) => Self::Unrecorded(entry),
        }
    }
}

/// One word for programs: a decision's, or `undecided`, `to_come`, `no_slot`, `off`, `absent`, `unreadable`, `unrecorded`.
pub fn verdict(facts: &Facts) -> &'static str {
    match Standing::of(facts) {
        Standing::Decided(decision) => decision.slot.decision.word(),
        Standing::NoFiles | Standing::Absent(..) => "absent",
        Standing::Unreadable(..) => "unreadable",
        Standing::NoSlot(_) => "no_slot",
        Standing::Off(_) => "off",
        Standing::ToCome(_) => "to_come",
        Standing::Undecided => "undecided",
        Standing::Unrecorded(_) => "unrecorded",
    }
}

/// Why a slot did or did not run: the answer first, then what it hangs on, a sentence a line.
pub fn explain(facts: &Facts) -> Vec<String> {
    let standing = Standing::of(facts);
    let mut said = vec![format!("{}, {}: {}", facts.schedule, clock(facts.at, facts.zone), headline(facts, &standing))];
    if let Some(missing) = facts.missing {
        said.push(format!(
            "{} does not exist in {}: clocks were put forward, and this is the first instant after the gap",
            missing.format("%d %b %Y %H:%M"),
            facts.zone
        ));
    }
    if let Then::There(entry) = &facts.then {
        said.extend(clocks(facts, entry));
    }
    match &standing {
        Standing::Decided(decision) => said.extend(decided(facts, decision)),
        Standing::NoFiles => said.push("no files were active in this queue at that time".to_owned()),
        Standing::Absent(followed, first) => said.extend(absent(facts, followed, *first)),
        Standing::Unreadable(followed, problem) => {
            said.push(format!("revision {} of the files cannot be read by this sexton: {problem}", followed.id));
        }
        Standing::NoSlot(entry) => said.extend(no_slot(facts, entry)),
        Standing::Off(entry) => said.push(format!("enabled = false in {}", revision(&entry.revision))),
        Standing::ToCome(entry) => said.extend(to_come(facts, entry)),
        Standing::Undecided => said.extend(undecided(facts)),
        Standing::Unrecorded(entry) => said.extend(unrecorded(facts, entry)),
    }
    said.extend(edited(facts));
    said
}

fn headline(facts: &Facts, standing: &Standing<'_>) -> String {
    match standing {
        Standing::Decided(decision) => match (decision.slot.decision, &decision.run) {
            (Decided::Fired, Some(run)) => format!("it fired, and its run {}", became(run)),
            (Decided::Fired, None) => "it fired; its run is no longer on record".to_owned(),
            (Decided::Deferred, Some(run)) => format!("it was put off, and its run {}", became(run)),
            (Decided::Deferred, None) => "it was put off; its run is no longer on record".to_owned(),
            (Decided::Coalesced, _) => "it did not run; a newer slot stands for it".to_owned(),
            (Decided::SkippedOverlap, _) => "it was skipped, as the job was still live".to_owned(),
            (Decided::SkippedWindow, _) => "it was skipped, as a window forbade it".to_owned(),
            (Decided::SkippedPaused, _) => "it was skipped, as the schedule was paused".to_owned(),
            (Decided::MissedExpired, _) => "it was missed, and too old to be caught up".to_owned(),
        },
        Standing::NoFiles | Standing::Absent(..) => "there was no such schedule".to_owned(),
        Standing::Unreadable(..) => "what the schedule was cannot be told".to_owned(),
        Standing::NoSlot(_) => "that is no slot of it".to_owned(),
        Standing::Off(_) => "it is switched off".to_owned(),
        Standing::ToCome(entry) => format!("it is due in {}", length(entry.start - facts.planning.now)),
        Standing::Undecided => {
            format!("it has been due for {} and is not decided yet", length(facts.planning.now - facts.at))
        }
        Standing::Unrecorded(_) => "it was decided, but there is no record of it".to_owned(),
    }
}

/// What became of a run, after "its run".
fn became(run: &Told) -> &'static str {
    match run.state.as_str() {
        "waiting" => "waits for its time",
        "ready" => "waits for a worker",
        "running" => "is running",
        "retrying" => "failed and is tried again",
        "held" => "is held for a person",
        "done" => "is done",
        "skipped" => "had nothing to do",
        "failed" => "failed",
        "cancelled" => "was cancelled",
        _ => "is in a state that this sexton does not know",
    }
}

fn decided(facts: &Facts, decision: &Decision) -> Vec<String> {
    let slot = &decision.slot;
    let mut said = vec![format!("reason: {}", slot.reason)];
    if slot.slots > 1 {
        let slots = count(slot.slots.unsigned_abs(), "slot");
        said.push(format!("one decision for {slots}, {} to {}", utc(slot.nominal_at), utc(slot.until)));
    }
    let lateness = TimeDelta::milliseconds((slot.lateness * 1000.0) as i64);
    let late = match slot.slots {
        1 => format!("{} after it was due", length(lateness)),
        _ => format!("{} after the last of them was due", length(lateness)),
    };
    said.push(format!("decided at {}, {late}, by daemon {}", second(slot.decided_at), daemon(facts, slot.decided_by)));
    if let Then::There(entry) = &facts.then {
        said.push(format!("followed {}: {}", revision(&entry.revision), due(entry)));
    }
    if let Then::There(entry) = &facts.then {
        said.extend(moved(entry, facts));
    }
    if let Some(run) = &decision.run {
        said.extend(told("run", run));
    } else if let Some(id) = slot.run {
        said.push(format!("run {id} is older than the history"));
    }
    for run in &decision.chain {
        said.extend(told("then", run));
    }
    for run in &decision.in_the_way {
        said.push(format!("in the way: {}", live(run)));
    }
    if let Some(stand_in) = &decision.stand_in {
        let run = stand_in.run.map(|run| format!(", run {run}")).unwrap_or_default();
        let word = if stand_in.decision == Decided::Fired { "fired" } else { "was put off" };
        said.push(format!("in its place: the slot of {} {word}{run}", utc(stand_in.nominal_at)));
    }
    for pause in facts.pauses.iter().filter(|pause| slot.decision == Decided::SkippedPaused && pause.is_open(facts.at))
    {
        said.push(paused(pause));
    }
    said
}

/// A run, in lines that name it.
fn told(what: &str, run: &Told) -> Vec<String> {
    let took = match (run.started_at, run.finished_at) {
        (Some(from), Some(to)) => format!(" at {}, after {}", second(to), length(to - from)),
        (None, Some(to)) => format!(" at {}", second(to)),
        (Some(from), None) if run.state == "running" => format!(" since {}", second(from)),
        _ if run.state == "waiting" || run.state == "retrying" => format!(", due at {}", second(run.due_at)),
        _ => String::new(),
    };
    let by = run.cancel_by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
    let mut said = vec![format!(
        "{what} {} of {}: {}{took}{by}, attempt {} of {}",
        run.id, run.job, run.state, run.spent, run.most_attempts
    )];
    for (n, failure) in run.failures.iter().enumerate() {
        said.push(format!("attempt {}: {failure}", n + 1));
    }
    let last = run.failures.last();
    said.extend(run.why.as_ref().filter(|why| last != Some(why)).map(|why| format!("because: {why}")));
    said.extend(run.help.as_ref().map(|help| format!("help: {help}")));
    said.extend(run.pause_by.as_ref().map(|by| format!("the run is paused by {by}; `sexton runs resume {}`", run.id)));
    said
}

fn live(run: &LiveThen) -> String {
    let ended = match run.finished_at {
        Some(at) => format!("{} at {}", run.state, second(at)),
        None => format!("{} now", run.state),
    };
    format!("run {}, made at {} by {}, {ended}", run.id, second(run.created_at), run.requested_by)
}

fn no_slot(facts: &Facts, entry: &Entry) -> Vec<String> {
    let near = |what: &str, at: Option<chrono::DateTime<Utc>>| {
        at.map_or(format!("no slot {what} it"), |at| format!("the slot {what} it: {}", clock(at, facts.zone)))
    };
    vec![
        format!("{} says {}", revision(&entry.revision), due(entry)),
        near("before", entry.before),
        near("after", entry.after),
    ]
}

fn absent(facts: &Facts, followed: &Mark, first: Option<&Mark>) -> Vec<String> {
    let mut said = vec![format!("{} was followed, which does not have it", revision(followed))];
    match (first, facts.removed_at) {
        (Some(first), _) => said.push(format!("{} has it; slots count from there", revision(first))),
        (None, Some(at)) => said.push(format!("it was removed from the files at {}", second(at))),
        (None, None) => {}
    }
    said
}

fn to_come(facts: &Facts, entry: &Entry) -> Vec<String> {
    let mut said = vec![format!("{} says {}", revision(&entry.revision), due(entry))];
    said.extend(moved(entry, facts));
    let plain = said.len();
    for pause in &facts.pauses {
        let then =
            if pause.is_open(entry.start) { "it is skipped unless somebody resumes before" } else { "over by then" };
        said.push(format!("{}; {then}", paused(pause)));
    }
    said.extend(facts.closed.clone());
    let now = facts.planning.now;
    let first = entry.before.is_none_or(|before| before <= now);
    if first && !entry.may_overlap {
        said.extend(facts.live.iter().map(|run| format!("still live: {}; if it is then, that counts", live(run))));
    }
    said.extend(nobody(facts));
    if said.len() == plain {
        said.push("nothing is in its way: it will fire".to_owned());
    }
    said
}

fn undecided(facts: &Facts) -> Vec<String> {
    let now = facts.planning.now;
    let open: Vec<_> = facts.pauses.iter().filter(|pause| pause.is_open(now)).collect();
    if !open.is_empty() {
        let then = |pause: &&Pause| match pause.is_open(facts.at) {
            true => format!("{}; it is skipped once the pause is over", paused(pause)),
            false => format!("{}; it was due before, and is caught up or not once the pause is over", paused(pause)),
        };
        return open.iter().map(then).collect();
    }
    if now - facts.at < PROMPT {
        return vec!["that is within a few seconds of its time: a daemon is about to decide it".to_owned()];
    }
    let mut said: Vec<_> = nobody(facts).into_iter().collect();
    if said.is_empty() {
        said.push("daemons are there: their logs say what keeps them from planning".to_owned());
    }
    if let Some(watermark) = facts.watermark {
        said.push(format!("decided up to {}; what was due since then waits, and nothing is lost", second(watermark)));
    }
    said
}

/// Says that nobody plans, if nobody does.
fn nobody(facts: &Facts) -> Option<String> {
    let planning = &facts.planning;
    let recent = |at: chrono::DateTime<Utc>| planning.now - at < SILENT;
    if planning.decided_at.is_some_and(recent) || facts.daemons.iter().any(|daemon| recent(daemon.seen_at)) {
        return None;
    }
    let last = match (planning.decided_at, planning.decided_by) {
        (Some(at), Some(by)) => {
            format!("no slot of any schedule was decided since {} (by daemon {})", second(at), daemon(facts, by))
        }
        _ => "no slot of any schedule was ever decided".to_owned(),
    };
    let whose = planning.instance.as_ref().map(|name| format!(", with instance = \"{name}\"")).unwrap_or_default();
    Some(format!("{last}, and no daemon was heard of lately; `sexton run`{whose} decides it"))
}

fn unrecorded(facts: &Facts, entry: &Entry) -> Vec<String> {
    let mut said = vec![format!("{} said {}", revision(&entry.revision), due(entry))];
    if let Some(watermark) = facts.watermark {
        said.push(format!(
            "its slots are decided up to {}; its row is older than what is kept, or the schedule was new then and \
             counted from a later instant",
            second(watermark)
        ));
    }
    said
}

/// What a change of the clocks has to do with it.
fn clocks(facts: &Facts, entry: &Entry) -> Option<String> {
    let zone = entry.text.zone;
    let wall = entry.swallowed.unwrap_or_else(|| facts.at.with_timezone(&zone).naive_local()).format("%H:%M");
    let why = if entry.left_out { ", and its `dst` leaves it out" } else { "" };
    Some(match entry.shift? {
        Shift::AfterGap if entry.left_out => {
            format!("it would stand for {wall}, which does not exist on that day in {zone}{why}")
        }
        Shift::AfterGap => format!("it stands for {wall}, which does not exist on that day in {zone}"),
        Shift::FirstPass => format!("{wall} comes twice on that day in {zone}; this is the first{why}"),
        Shift::SecondPass => format!("{wall} comes twice on that day in {zone}; this is the second{why}"),
    })
}

/// Says that the files say something else today.
fn edited(facts: &Facts) -> Option<String> {
    let Then::There(entry) = &facts.then else { return None };
    match &facts.today {
        Some(today) if *today == entry.text => None,
        Some(today) => Some(format!("today its files say `{}` in {}, job {}", today.cron, today.zone, today.job)),
        None => Some(match facts.removed_at {
            Some(at) => format!("today it is not in the files; it was removed at {}", second(at)),
            None => "today it is not in the files".to_owned(),
        }),
    }
}

/// Says that splay or jitter move its start.
fn moved(entry: &Entry, facts: &Facts) -> Option<String> {
    let later = entry.start - facts.at;
    (later > TimeDelta::zero())
        .then(|| format!("splay and jitter start it {} later, at {}", length(later), clock(entry.start, facts.zone)))
}

fn due(entry: &Entry) -> String {
    format!("`{}` in {}, job {}", entry.text.cron, entry.text.zone, entry.text.job)
}

fn revision(mark: &Mark) -> String {
    format!("revision {} (applied {} by {})", mark.id, second(mark.applied_at), mark.applied_by)
}

fn daemon(facts: &Facts, id: uuid::Uuid) -> String {
    match facts.daemons.iter().find(|daemon| daemon.daemon == id) {
        Some(daemon) => format!("{id} (pid {} on {})", daemon.pid, daemon.host),
        None => id.to_string(),
    }
}

fn paused(pause: &Pause) -> String {
    let what = if pause.schedule.is_some() { "it was paused" } else { "everything was paused" };
    let until = pause.ends_at.map_or(", until somebody resumes it".to_owned(), |end| format!(" to {}", second(end)));
    format!("{what} by {} from {}{until}: {}", pause.author, second(pause.made_at), pause.reason)
}

//! From an event to what people read: what happened, what to do, and the command that shows more.

use serde_json::Value;
use uuid::Uuid;

use super::decide::Because;
use crate::outbox::{Event, FILES, Message, OF_CHANNEL, OF_PROOF, OF_READY, OF_SCHEDULE};

/// The most characters of a line: enough for an error, too little for a dump.
const LINE: usize = 1_000;

/// The message for an event, with its stable id.
pub fn render(event: &Event, because: Because, id: Uuid) -> Message {
    let subject = match event.subject.strip_prefix(OF_CHANNEL) {
        Some(channel) => format!("the channel {channel}"),
        None if event.subject.starts_with(OF_READY) => {
            format!("the look at {}", event.subject.trim_start_matches(OF_READY))
        }
        None if event.subject.starts_with(OF_PROOF) => event.subject.trim_start_matches(OF_PROOF).to_owned(),
        None if event.subject.starts_with(OF_SCHEDULE) => {
            format!("the schedule {}", event.subject.trim_start_matches(OF_SCHEDULE))
        }
        None if event.subject == FILES => "the job and schedule files".to_owned(),
        None => event.subject.clone(),
    };
    let run = event.run;
    Message {
        id,
        incident: event.incident,
        severity: severity(because).to_owned(),
        title: match because {
            Because::Recovered if event.subject.starts_with(OF_PROOF) => {
                format!("{subject} has a fresh proven backup again")
            }
            _ => title(&subject, because, event.repeat),
        },
        lines: lines(event),
        help: text(&event.detail, "help"),
        next: (event.subject.strip_prefix(OF_SCHEDULE).map(|schedule| format!("sexton resume {schedule}")))
            .or_else(|| run.map(|run| format!("sexton runs show {run}")))
            .or_else(|| event.subject.starts_with(OF_READY).then(|| "sexton ready".to_owned()))
            .or_else(|| event.subject.starts_with(OF_PROOF).then(|| "sexton backups status".to_owned()))
            .or_else(|| (event.subject == FILES).then(|| "sexton check".to_owned())),
        event: event.kind.clone(),
        subject: event.subject.clone(),
        run,
        at: event.at,
    }
}

fn severity(because: Because) -> &'static str {
    use Because::*;
    match because {
        FirstFailure | StillFailing | Breached | StillBreached | Held | Missed | FilesBroken | ChannelFailed | Late
        | Paused => "problem",
        Recovered | BreachCleared | FilesMended => "recovery",
        FilesDrifted => "note",
    }
}

fn title(subject: &str, because: Because, repeat: i64) -> String {
    use Because::*;
    match because {
        FirstFailure => format!("{subject} failed"),
        StillFailing => format!("{subject} is still failing ({repeat} times in a row)"),
        Recovered if repeat > 1 => format!("{subject} works again after {repeat} failures"),
        Recovered => format!("{subject} works again"),
        Breached => format!("{subject} is past a threshold"),
        StillBreached => format!("{subject} is still past a threshold ({repeat} times in a row)"),
        BreachCleared => format!("{subject} keeps its thresholds again"),
        Held => format!("{subject} is held: its worker was lost and a person must decide"),
        Missed => format!("{subject} missed its time"),
        FilesBroken => format!("{subject} cannot be used; the last good ones stay active"),
        FilesDrifted => format!("{subject} on this machine are not the active ones"),
        FilesMended => format!("{subject} are good again"),
        Late => format!("{subject} has no fresh proven backup"),
        Paused => format!("{subject} failed again and again and is paused"),
        ChannelFailed => format!("messages do not get through to {subject}"),
    }
}

/// The facts that a detail has, in the order in which people want them.
fn lines(event: &Event) -> Vec<String> {
    let detail = &event.detail;
    let mut lines = Vec::new();
    lines.extend(text(detail, "why"));
    for breach in detail.get("breaches").and_then(Value::as_array).into_iter().flatten() {
        let part = |name| breach.get(name).cloned().unwrap_or(Value::Null);
        let actual = match part("actual") {
            Value::Null => "missing".to_owned(),
            number => number.to_string(),
        };
        let (name, expected) = (plain(&part("name")), plain(&part("expected")));
        lines.push(format!("{name} is {actual}, expected {expected}"));
    }
    for problem in detail.get("problems").and_then(Value::as_array).into_iter().flatten() {
        lines.push(plain(problem));
    }
    if let Some(kind) = text(detail, "kind") {
        let attempt = detail.get("attempt").and_then(Value::as_i64);
        let most = detail.get("most_attempts").and_then(Value::as_i64);
        let tries = match (attempt, most) {
            (Some(attempt), Some(most)) if most > 1 => format!(", attempt {attempt} of {most}"),
            _ => String::new(),
        };
        let by = text(detail, "requested_by").map(|by| format!(", asked by {by}")).unwrap_or_default();
        lines.push(format!("kind {kind}{tries}{by}"));
    }
    if let Some(seconds) = detail.get("duration_seconds").and_then(Value::as_f64) {
        lines.push(format!("took {seconds:.1} s, until {} UTC", event.at.format("%Y-%m-%d %H:%M:%S")));
    }
    lines.iter().map(|line| line.chars().take(LINE).collect()).collect()
}

fn text(detail: &Value, name: &str) -> Option<String> {
    detail.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_paused_schedule_says_how_it_goes_on() {
        let event = Event {
            id: Uuid::nil(),
            kind: "paused".into(),
            subject: format!("{OF_SCHEDULE}nightly"),
            run: Some(Uuid::nil()),
            incident: Uuid::nil(),
            repeat: 1,
            channels: vec![],
            detail: json!({ "why": "sexton paused it: it failed 3 times in a row" }),
            at: DateTime::UNIX_EPOCH,
            told_at: None,
        };
        let message = render(&event, Because::Paused, Uuid::nil());
        assert_eq!(message.title, "the schedule nightly failed again and again and is paused");
        assert_eq!((message.next.as_deref(), message.severity.as_str()), (Some("sexton resume nightly"), "problem"));
    }

    #[test]
    fn a_message_says_what_happened_and_what_to_do() {
        let event = Event {
            id: Uuid::nil(),
            kind: "failed".into(),
            subject: "backup-collector".into(),
            run: Some(Uuid::nil()),
            incident: Uuid::nil(),
            repeat: 1,
            channels: vec![],
            detail: json!({"why": "pg_dump exited with 1", "help": "look at the server's log", "kind": "backup",
                           "attempt": 3, "most_attempts": 3, "requested_by": "schedule nightly",
                           "duration_seconds": 2.0, "breaches": [{"name": "bytes", "expected": "> 1", "actual": null}]}),
            at: DateTime::UNIX_EPOCH,
            told_at: None,
        };
        let message = render(&event, Because::FirstFailure, Uuid::nil());
        assert_eq!(message.title, "backup-collector failed");
        assert_eq!(
            message.lines,
            [
                "pg_dump exited with 1",
                "bytes is missing, expected > 1",
                "kind backup, attempt 3 of 3, asked by schedule nightly",
                "took 2.0 s, until 1970-01-01 00:00:00 UTC",
            ]
        );
        assert_eq!(message.help.as_deref(), Some("look at the server's log"));
        assert_eq!(message.next.as_deref(), Some("sexton runs show 00000000-0000-0000-0000-000000000000"));
    }
}

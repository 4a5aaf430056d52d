//! Whether an event is news: not every red run is.
//!
//! A table, without a clock or a socket. Trouble is told when it begins, again when it has lasted for `remind`, and
//! once when it is over.

use chrono::{DateTime, TimeDelta, Utc};

use crate::outbox::Event;

/// What is decided about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// People are told, because.
    Tell(Because),
    /// They are not, because.
    Quiet(&'static str),
}

/// Why people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// It failed for the first time since it last worked.
    FirstFailure,
    /// It still fails, and people were last told long ago.
    StillFailing,
    /// It works again.
    Recovered,
    /// A number is past its threshold for the first time.
    Breached,
    /// It still is, and people were last told long ago.
    StillBreached,
    /// All numbers are back within their thresholds.
    BreachCleared,
    /// A run waits for a person.
    Held,
    /// Slots were missed for good.
    Missed,
    /// The files on disk cannot be used.
    FilesBroken,
    /// The files on disk are not the active ones.
    FilesDrifted,
    /// The files are good again.
    FilesMended,
    /// Messages do not reach a channel.
    ChannelFailed,
    /// No backup was proven for too long.
    Late,
    /// A schedule failed so often that it fires no more.
    Paused,
}

impl Because {
    /// The word for it, as `sexton.event.verdict` keeps it.
    pub fn word(self) -> &'static str {
        match self {
            Self::FirstFailure => "first failure",
            Self::StillFailing => "still failing",
            Self::Recovered => "recovered",
            Self::Breached => "threshold passed",
            Self::StillBreached => "threshold still passed",
            Self::BreachCleared => "threshold kept again",
            Self::Held => "held for a person",
            Self::Missed => "missed",
            Self::FilesBroken => "files broken",
            Self::FilesDrifted => "files differ",
            Self::FilesMended => "files mended",
            Self::ChannelFailed => "channel failed",
            Self::Late => "late",
            Self::Paused => "paused for failing",
        }
    }
}

/// Decides about an event at `now`; trouble that lasts is told again after `remind`.
pub fn decide(event: &Event, now: DateTime<Utc>, remind: TimeDelta) -> Verdict {
    use Because::*;
    let first = event.repeat <= 1;
    let long_ago = event.told_at.is_none_or(|told| now - told >= remind);
    let lasting = |news, again, quiet| match (first, long_ago) {
        (true, _) => Verdict::Tell(news),
        (false, true) => Verdict::Tell(again),
        (false, false) => Verdict::Quiet(quiet),
    };
    match event.kind.as_str() {
        "failed" => lasting(FirstFailure, StillFailing, "still failing, told before"),
        "breached" => lasting(Breached, StillBreached, "threshold still passed, told before"),
        "files_broken" => lasting(FilesBroken, FilesBroken, "files still broken, told before"),
        "files_drifted" => lasting(FilesDrifted, FilesDrifted, "files still differ, told before"),
        "channel_failed" => lasting(ChannelFailed, ChannelFailed, "the channel still fails, told before"),
        "late" => lasting(Late, Late, "still late, told before"),
        "held" => Verdict::Tell(Held),
        "missed" => Verdict::Tell(Missed),
        "paused" => Verdict::Tell(Paused),
        // A recovery is told only to those who were told of the trouble.
        "recovered" if event.told_at.is_some() => Verdict::Tell(Recovered),
        "breach_cleared" if event.told_at.is_some() => Verdict::Tell(BreachCleared),
        "files_mended" if event.told_at.is_some() => Verdict::Tell(FilesMended),
        "recovered" | "breach_cleared" | "files_mended" => Verdict::Quiet("nobody was told of the trouble"),
        "lost" => Verdict::Quiet("another attempt follows"),
        "cancelled" => Verdict::Quiet("a person did it"),
        _ => Verdict::Quiet("nothing to tell of this kind of event"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;

    fn event(kind: &str, repeat: i64, told_minutes_ago: Option<i64>) -> Event {
        Event {
            id: Uuid::nil(),
            kind: kind.into(),
            subject: "j".into(),
            run: None,
            incident: Uuid::nil(),
            repeat,
            channels: vec![],
            detail: Value::Null,
            at: DateTime::UNIX_EPOCH,
            told_at: told_minutes_ago.map(|minutes| DateTime::UNIX_EPOCH - TimeDelta::minutes(minutes)),
        }
    }

    #[test]
    fn trouble_is_told_when_it_begins_and_again_when_it_lasts() {
        let cases = [
            (event("failed", 1, None), Verdict::Tell(Because::FirstFailure)),
            (event("failed", 2, Some(5)), Verdict::Quiet("still failing, told before")),
            (event("failed", 9, Some(240)), Verdict::Tell(Because::StillFailing)),
            // The first was never told, because its channel did not exist then, say.
            (event("failed", 2, None), Verdict::Tell(Because::StillFailing)),
            (event("recovered", 9, Some(5)), Verdict::Tell(Because::Recovered)),
            (event("recovered", 1, None), Verdict::Quiet("nobody was told of the trouble")),
            (event("breached", 1, Some(1)), Verdict::Tell(Because::Breached)),
            (event("held", 3, Some(1)), Verdict::Tell(Because::Held)),
            (event("paused", 1, Some(1)), Verdict::Tell(Because::Paused)),
            (event("cancelled", 1, None), Verdict::Quiet("a person did it")),
            (event("lost", 1, None), Verdict::Quiet("another attempt follows")),
        ];
        for (event, verdict) in cases {
            assert_eq!(decide(&event, DateTime::UNIX_EPOCH, TimeDelta::hours(4)), verdict, "{event:?}");
        }
    }
}

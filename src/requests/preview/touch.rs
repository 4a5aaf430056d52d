//! What touches a slot to come: a pause, the run before it, slots that wait to be decided. A pure function of the facts.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgPool;

use crate::{
    catalog::{CatchUp, Job, Overlap, Schedule},
    ledger::{self, Pause},
    queue,
    requests::words::{closed, count, length, second},
    windows::{Muted, Windows},
};

/// Something that touches a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Touch {
    /// What.
    pub by: By,
    /// In words.
    pub why: String,
}

/// What can touch a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Its start is moved.
    Spread,
    /// The schedule is paused then, as things are.
    Pause,
    /// A window closes it.
    Window,
    /// Its alerts wait until a window is over.
    Mute,
    /// The run before it may still be live.
    Overlap,
}

/// What the queue's database knows about schedules, at one instant of its clock.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The database's time.
    pub now: DateTime<Utc>,
    /// Pauses that are open.
    pub pauses: Vec<Pause>,
    /// Up to where each schedule is decided.
    pub watermarks: HashMap<String, DateTime<Utc>>,
    /// How long a run of each job usually takes.
    pub usual: HashMap<String, Duration>,
}

impl Known {
    /// Asks, for these jobs.
    ///
    /// # Errors
    /// The database's.
    pub async fn ask(pool: &PgPool, jobs: &[String]) -> Result<Self, sqlx::Error> {
        let watermarks = ledger::schedules(pool).await?;
        let on = watermarks.into_iter().filter(|known| known.enabled && known.removed_at.is_none());
        Ok(Self {
            now: ledger::planning(pool).await?.now,
            pauses: ledger::open_pauses(pool).await?,
            watermarks: on.map(|known| (known.name, known.watermark)).collect(),
            usual: queue::usual(pool, jobs).await?,
        })
    }
}

/// Everything that touches the slot at `at`; `before` is the slot before it.
pub fn touches(
    schedule: &Schedule,
    job: Option<&Job>,
    windows: &Windows<'_>,
    at: DateTime<Utc>,
    before: Option<DateTime<Utc>>,
    known: Option<&Known>,
) -> Vec<Touch> {
    let start = schedule.start(at);
    let spread = (start != at).then(|| Touch {
        by: By::Spread,
        why: format!(
            "starts {} later, at {}",
            length(start - at),
            start.with_timezone(&schedule.zone).format("%H:%M:%S")
        ),
    });
    let pauses = known.into_iter().flat_map(|known| &known.pauses);
    let pause = pauses.filter(|pause| pause.is_of(&schedule.name)).find(|pause| pause.is_open(start));
    let pause = pause.map(|pause| {
        let until = pause.ends_at.map_or(String::new(), |end| format!(" until {}", second(end)));
        Touch { by: By::Pause, why: format!("paused by {}{until}: {}; it is skipped", pause.author, pause.reason) }
    });
    let window = closed(windows, at).map(|why| Touch { by: By::Window, why });
    let mute = windows.muted(start).filter(|_| window.is_none()).map(|Muted { window, until }| Touch {
        by: By::Mute,
        why: format!("alerts wait until window `{window}` is over, {}", second(until)),
    });
    let usual = known.and_then(|known| known.usual.get(&schedule.job).copied());
    let overlap = before.and_then(|before| overlap(schedule, job, at - before, usual));
    [spread, pause, window, mute, overlap.map(|why| Touch { by: By::Overlap, why })].into_iter().flatten().collect()
}

/// What becomes of a slot because the run of the one before it takes, or may take, longer than the time between them.
fn overlap(schedule: &Schedule, job: Option<&Job>, gap: TimeDelta, usual: Option<Duration>) -> Option<String> {
    let does = match schedule.policy.overlap {
        Overlap::AllowAll => return None,
        Overlap::Skip => "skipped",
        Overlap::BufferOne | Overlap::BufferLatest | Overlap::BufferAll => "put off",
        Overlap::CancelOther => "started once that run is cancelled",
        Overlap::TerminateOther => "started once that run is stopped",
    };
    let longer = |length: Duration| TimeDelta::from_std(length).ok().filter(|length| *length > gap);
    let earlier = length(gap);
    if let Some(usual) = usual.and_then(longer) {
        let usual = length(usual);
        return Some(format!(
            "the slot before is {earlier} earlier, and a run usually takes {usual}: it will be {does}"
        ));
    }
    let timeout = job.and_then(|job| job.timeout).map(|timeout| timeout.0).and_then(longer)?;
    let timeout = length(timeout);
    Some(format!("the slot before is {earlier} earlier, and a run may take its timeout, {timeout}: then it is {does}"))
}

/// What is worth knowing of a schedule besides its slots to come.
pub fn notes(schedule: &Schedule, known: Option<&Known>) -> Vec<String> {
    let policy = &schedule.policy;
    let missed = known.and_then(|known| {
        let from = known.watermarks.get(&schedule.name)?;
        let missed = schedule.cron.count(schedule.zone, *from, schedule.started_until(known.now));
        (missed > 0).then_some((missed, *from))
    });
    let becomes = match policy.catch_up {
        CatchUp::Skip => format!("what is more than {} late by then is gone (catch_up = \"skip\")", policy.grace),
        CatchUp::Latest => "the newest fires and stands for the others (catch_up = \"latest\")".to_owned(),
        CatchUp::All => format!("up to {} of them fire (catch_up = \"all\")", policy.catch_up_max),
    };
    let name = &schedule.name;
    match missed {
        Some((n, from)) => {
            let since = second(from);
            vec![format!("{name}: since {since} {} not decided yet; {becomes}", count(n, "slot"))]
        }
        None if policy.catch_up == CatchUp::Skip => {
            vec![format!("{name}: a slot that is missed is gone (catch_up = \"skip\")")]
        }
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Files};

    fn catalog(more: &str) -> Catalog {
        let text = format!("[[at]]\nname = \"hourly\"\njob = \"tidy\"\ncron = \"0 * * * *\"\n{more}\n");
        let job = "alert = []\ntimeout = \"2h\"\n[sql]\ntarget = \"one\"\nsql = \"select 1\"\n".to_owned();
        let files = [("jobs/tidy.toml", job), ("schedules/all.toml", text)];
        let files = Files(files.into_iter().map(|(path, text)| (path.to_owned(), text)).collect());
        let parsed = Catalog::parse(&files);
        parsed.catalog.unwrap_or_else(|| panic!("{:?}", parsed.problems))
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    fn told(more: &str, known: Option<&Known>) -> Vec<(By, String)> {
        let catalog = catalog(more);
        let (slot, before) = (at("2026-06-01T02:00:00Z"), at("2026-06-01T01:00:00Z"));
        let touched = touches(
            &catalog.schedules[0],
            catalog.jobs.get("tidy"),
            &catalog.windows_of(&catalog.schedules[0]),
            slot,
            Some(before),
            known,
        );
        touched.into_iter().map(|touch| (touch.by, touch.why)).collect()
    }

    fn usual(seconds: u64) -> Known {
        Known { usual: [("tidy".to_owned(), Duration::from_secs(seconds))].into(), ..Known::default() }
    }

    #[test]
    fn a_run_that_takes_longer_than_the_time_between_two_slots_is_told() {
        let only = |more, known: Option<&Known>| told(more, known).remove(0).1;
        assert_eq!(
            only("", Some(&usual(4_000))),
            "the slot before is 1h earlier, and a run usually takes 1h 6m: it will be skipped"
        );
        assert_eq!(
            only("", Some(&usual(60))),
            "the slot before is 1h earlier, and a run may take its timeout, 2h: then it is skipped"
        );
        assert!(only("overlap = \"buffer_all\"", Some(&usual(4_000))).ends_with("it will be put off"));
        assert!(only("overlap = \"cancel_other\"", None).ends_with("then it is started once that run is cancelled"));
        assert_eq!(told("overlap = \"allow_all\"", Some(&usual(4_000))), []);
    }

    #[test]
    fn a_start_that_is_moved_and_a_pause_are_told() {
        let pause = |schedule: Option<&str>, until: &str| Pause {
            id: 1,
            schedule: schedule.map(str::to_owned),
            reason: "month end".to_owned(),
            author: "anna".to_owned(),
            made_at: at("2026-05-31T00:00:00Z"),
            ends_at: Some(at(until)),
        };
        let known = |pause| Known { pauses: vec![pause], ..Known::default() };
        let more = "overlap = \"allow_all\"\nsplay = \"10m\"";
        let paused = told(more, Some(&known(pause(None, "2026-06-02T00:00:00Z"))));
        assert_eq!(paused.iter().map(|(by, _)| *by).collect::<Vec<_>>(), [By::Spread, By::Pause]);
        assert!(paused[0].1.starts_with("starts ") && paused[0].1.contains(" later, at 02:0"), "{paused:?}");
        assert_eq!(paused[1].1, "paused by anna until 2026-06-02T00:00:00Z: month end; it is skipped");
        let others = [pause(Some("other"), "2026-06-02T00:00:00Z"), pause(None, "2026-06-01T01:00:00Z")];
        for pause in others {
            assert_eq!(told("overlap = \"allow_all\"", Some(&known(pause))), []);
        }
    }

    #[test]
    fn a_window_that_closes_a_slot_or_holds_its_alerts_back_is_told() {
        let window = |what: &str| {
            let when = "from = 2026-06-01T01:30:00Z\nuntil = 2026-06-01T04:00:00Z";
            told(
                &format!("overlap = \"allow_all\"\n[[window]]\nname = \"move\"\neverywhere = true\n{when}\n{what}"),
                None,
            )
        };
        let skipped = "window `move` is closed to it: it is skipped".to_owned();
        assert_eq!(window(""), [(By::Window, skipped)]);
        let waits = "a run that stands for all its slots waits until 2026-06-01T04:00:00Z";
        assert_eq!(window("slots = \"defer\""), [(By::Window, format!("window `move` is closed to it: {waits}"))]);
        let held = "alerts wait until window `move` is over, 2026-06-01T04:00:00Z".to_owned();
        assert_eq!(window("slots = \"fire\"\nmute = true"), [(By::Mute, held)]);
    }

    #[test]
    fn what_waits_to_be_decided_is_told_with_what_becomes_of_it() {
        let known = Known {
            now: at("2026-06-01T05:30:00Z"),
            watermarks: [("hourly".to_owned(), at("2026-06-01T02:00:00Z"))].into(),
            ..Known::default()
        };
        let said = |more, known| notes(&catalog(more).schedules[0], known).join("");
        assert_eq!(
            said("", Some(&known)),
            "hourly: since 2026-06-01T02:00:00Z 3 slots not decided yet; the newest fires and stands for the others (catch_up = \"latest\")"
        );
        assert!(said("catch_up = \"skip\"", Some(&known)).contains("what is more than 1m late by then is gone"));
        assert_eq!(said("catch_up = \"skip\"", None), "hourly: a slot that is missed is gone (catch_up = \"skip\")");
        assert_eq!(said("", None), "");
    }
}

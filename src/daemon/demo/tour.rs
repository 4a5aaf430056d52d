//! The tour: stages of one-shot schedules, each written as a file, reloaded, and waited for.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    claims::{self, Claim, Facts},
    say::Say,
    site::Site,
};
use crate::{
    cli::AskError,
    daemon::{
        files::{Occasion, Reloaded, reload},
        inbox::{Answer, Inbox},
        wire::Parts,
    },
    queue::{self, Filter, Run},
};

/// How long a stage may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the tour goes through.
pub(super) struct Tour<'a> {
    pub(super) parts: Parts,
    pub(super) poke: Arc<Notify>,
    pub(super) site: &'a Site,
    pub(super) inbox: &'a Inbox,
    /// The database that is looked after.
    pub(super) url: String,
    pub(super) stop: CancellationToken,
}

/// A schedule that fires once, soon.
struct Shot {
    name: &'static str,
    job: &'static str,
    then: &'static [&'static str],
    params: &'static str,
}

const fn shot(name: &'static str, job: &'static str) -> Shot {
    Shot { name, job, then: &[], params: "{}" }
}

const FIRST: [Shot; 6] = [
    shot("tour-backup", "backup-collector"),
    shot("tour-validation", "validate-full"),
    shot("tour-count", "count-exceptions"),
    shot("tour-hello", "hello"),
    shot("tour-partner-away", "check-partner"),
    Shot { name: "tour-dry-run", job: "archive-exceptions", then: &[], params: "{ dry_run = true }" },
];

const SECOND: [Shot; 2] = [
    Shot {
        name: "tour-weekly",
        job: "archive-exceptions",
        then: &["cleanup-resolved", "cleanup-old", "validate-full", "analyze"],
        params: "{ dry_run = false }",
    },
    shot("tour-partner-back", "check-partner"),
];

/// What goes on after the tour: a few seconds apart, and all of it harmless.
pub(super) const LIVE: &str = r#"# `sexton demo` goes on with these; edit them and send SIGHUP.
[[at]]
name = "count-often"
job  = "count-exceptions"
cron = "*/5 * * * * *"

[[at]]
name = "partner-often"
job  = "check-partner"
cron = "*/10 * * * * *"

[[at]]
name = "validate-often"
job  = "validate-full"
cron = "7-59/15 * * * * *"

[[at]]
name   = "weekly-every-half-minute"
job    = "archive-exceptions"
cron   = "11-59/30 * * * * *"
then   = ["cleanup-resolved", "cleanup-old", "analyze"]
params = { dry_run = true }

[[at]]
name = "backup-every-minute"
job  = "backup-collector"
cron = "23 * * * * *"
"#;

impl Tour<'_> {
    /// Goes through the stages and gives what was found true.
    pub(super) async fn run(&self, say: &mut Say) -> Result<Vec<Claim>, AskError> {
        let collector =
            self.parts.env.targets.get("collector").map_err(|error| AskError::Said(error.to_string()))?.pool();
        let before = claims::count(collector).await?;
        self.inbox.script_http("/partner", [Answer::Status(503)]);

        say.title("First: a backup, a validation, an archive's dry run, and a partner that does not answer");
        let first = self.stage(&FIRST, say).await?;
        let between = claims::count(collector).await?;
        self.inbox_says("check-partner failed", say).await;

        say.title("Then: the weekly chain, armed, and the partner is back");
        self.inbox.script_http("/partner", [Answer::Status(200)]);
        let second = self.stage(&SECOND, say).await?;
        self.inbox_says("check-partner works again", say).await;

        let facts = Facts { site: self.site, inbox: self.inbox, before, between, first, second };
        claims::hold(&facts, collector, &self.parts.pool).await
    }

    /// Makes the schedules for after the tour active.
    pub(super) async fn serve_on(&self) -> Result<(), AskError> {
        self.site.schedules(LIVE)?;
        self.reload().await
    }

    async fn reload(&self) -> Result<(), AskError> {
        let reloaded = reload(&self.parts.pool, &self.parts.source, Occasion::Insisted, "sexton demo").await;
        match reloaded.map_err(|error| AskError::Said(error.to_string()))? {
            Reloaded::Kept { problems, .. } => {
                let first = problems.first().map(ToString::to_string).unwrap_or_default();
                return Err(AskError::Said(format!("the demo's own files are broken: {first}")));
            }
            Reloaded::Applied { .. } | Reloaded::Unchanged { .. } | Reloaded::Drifted { .. } => {}
        }
        self.poke.notify_one();
        Ok(())
    }

    /// Writes the shots as schedules due in a moment, and waits for all their runs.
    async fn stage(&self, shots: &[Shot], say: &mut Say) -> Result<Vec<Run>, AskError> {
        let due = Utc::now() + Duration::from_secs(3);
        self.site.schedules(&shots.iter().map(|shot| shot.entry(due)).collect::<String>())?;
        self.reload().await?;
        say.event("reloaded", &format!("{} schedules, due at {}", shots.len(), due.format("%H:%M:%S UTC")));
        let deadline = Instant::now() + PATIENCE;
        let mut ended: Vec<Run> = Vec::new();
        let expected: usize = shots.iter().map(|shot| 1 + shot.then.len()).sum();
        while ended.len() < expected {
            for shot in shots {
                let filter = Filter { schedule: Some(shot.name.to_owned()), ..Filter::default() };
                for run in queue::list(&self.parts.pool, &filter).await?.into_iter().rev() {
                    if run.is_over() && !ended.iter().any(|other| other.id == run.id) {
                        say.event(&run.state, &describe(&run));
                        ended.push(run);
                    }
                }
            }
            // A chain that breaks has no further runs to wait for.
            let broken = ended.iter().any(|run| run.state != "done" && shots.iter().any(|s| s.goes_on_after(run)));
            if broken || self.stop.is_cancelled() || Instant::now() >= deadline {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(ended)
    }

    /// Waits for a message about `title` by mail and by webhook, and prints both.
    async fn inbox_says(&self, title: &str, say: &mut Say) {
        let told = |inbox: &Inbox| {
            inbox.mails().iter().any(|mail| mail.subject.contains(title))
                && inbox.posts().iter().any(|post| claims::title_of(post).contains(title))
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !told(self.inbox) && Instant::now() < deadline && !self.stop.is_cancelled() {
            sleep(Duration::from_millis(50)).await;
        }
        for mail in self.inbox.mails().iter().filter(|mail| mail.subject.contains(title)) {
            say.event("mail", &format!("to {}: {}", mail.to.join(", "), mail.subject));
        }
        for post in self.inbox.posts().iter().filter(|post| claims::title_of(post).contains(title)) {
            say.event("webhook", &claims::title_of(post));
        }
    }
}

impl Shot {
    fn entry(&self, due: DateTime<Utc>) -> String {
        let Self { name, job, then, params } = self;
        format!(
            "[[at]]\nname = \"{name}\"\njob = \"{job}\"\ncron = \"{}\"\nthen = {then:?}\nparams = {params}\n\n",
            due.format("%-S %-M %-H %-d %-m *")
        )
    }

    fn goes_on_after(&self, run: &Run) -> bool {
        run.schedule.as_deref() == Some(self.name) && !self.then.is_empty()
    }
}

/// A run in a line, with the numbers that people look for.
fn describe(run: &Run) -> String {
    const NUMBERS: [&str; 12] = [
        "bytes",
        "dump_bytes",
        "rows_archived",
        "rows_deleted",
        "rows_kept_critical",
        "rows_kept_open",
        "main_rows_after",
        "archive_rows_after",
        "issues",
        "checks",
        "exceptions",
        "status",
    ];
    let took = run.started_at.zip(run.finished_at).map(|(from, to)| (to - from).as_seconds_f64()).unwrap_or_default();
    let dry =
        if run.report.get("dry_run").and_then(serde_json::Value::as_bool) == Some(true) { " (dry run)" } else { "" };
    let numbers: Vec<String> =
        NUMBERS.iter().filter_map(|name| run.report.get(name).map(|value| format!("{name}={value}"))).collect();
    let why = run.why.as_deref().map(|why| format!(": {}", why.lines().next().unwrap_or_default())).unwrap_or_default();
    format!("{}{dry} in {took:.1} s{why}  {}", run.job, numbers.join(" "))
}

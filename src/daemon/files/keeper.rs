//! Keeps one daemon's files and the active revision together for as long as the daemon lives.
//!
//! It reads them at the start, at SIGHUP, and when they changed and stand still; and it looks now and then whether
//! another daemon applied others.

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Occasion, PATIENCE, Reading, ReloadError, Reloaded, Source,
    read::settled,
    standing::Standing,
    take_in,
    watch::{Next, Watch, is_doubtful},
};
use crate::{
    catalog::Fingerprint,
    db::Ear,
    ledger::{self, FilesState, Pulse},
    settings,
};

/// How often it asks what is active, and says that it lives.
const ASK: Duration = Duration::from_secs(10);
/// The same while it hears of new revisions; others take it for dead after a minute.
const ASK_HEARD: Duration = Duration::from_secs(20);
/// How often trouble that lasts is put on record again; whether people are told again is for the alerts to say.
const AGAIN: Duration = Duration::from_secs(3600);

/// One daemon's files.
pub(crate) struct Keeper {
    pool: PgPool,
    source: Source,
    by: String,
    settings: settings::Files,
    /// Wakes the planner, after the active revision changed.
    poke: Arc<Notify>,
    /// The revision that is followed, as far as this daemon knows.
    active: watch::Sender<i64>,
    watch: Watch,
    last: Reading,
    standing: Option<Standing>,
    /// Since when they stand so.
    since: Instant,
    /// When that was last told; `None` if not yet.
    told: Option<Instant>,
    asked: Instant,
}

impl Keeper {
    /// For files that have not been read yet.
    pub(crate) fn new(pool: PgPool, source: Source, by: String, settings: settings::Files, poke: Arc<Notify>) -> Self {
        let (watch, last, now) = (Watch::new(Fingerprint::default()), Reading::default(), Instant::now());
        let active = watch::Sender::new(0);
        Self {
            pool,
            source,
            by,
            settings,
            poke,
            active,
            watch,
            last,
            standing: None,
            since: now,
            told: None,
            asked: now,
        }
    }

    /// The revision that is followed, as soon as this daemon knows of it; 0 before.
    pub(crate) fn active(&self) -> watch::Receiver<i64> {
        self.active.subscribe()
    }

    /// Reads the files and takes them in.
    pub(crate) async fn reload(&mut self, occasion: Occasion) -> Result<Reloaded, ReloadError> {
        // Before they are read, so that an edit in between is seen as one.
        let print = self.fingerprint().await;
        let reading = settled(&self.source).await;
        self.take(print, reading, occasion).await
    }

    async fn take(
        &mut self,
        print: Fingerprint,
        reading: Reading,
        occasion: Occasion,
    ) -> Result<Reloaded, ReloadError> {
        let reloaded = take_in(&self.pool, &self.source, &reading, occasion, &self.by).await?;
        let standing = Standing::after(&reloaded, &reading, &self.source);
        let told = standing.record(&self.pool, &self.source).await?;
        self.stand(standing, told);
        self.watch.took(print);
        self.last = reading;
        self.poke.notify_one();
        Ok(reloaded)
    }

    fn stand(&mut self, standing: Standing, told: bool) {
        if self.standing.as_ref().map(|before| before.state) != Some(standing.state) {
            self.since = Instant::now();
        }
        self.active.send_if_modified(|active| std::mem::replace(active, standing.revision) != standing.revision);
        self.standing = Some(standing);
        self.told = told.then(Instant::now);
    }

    /// Keeps them until `stop`; hears of what others apply by `ear`. A database that is away is asked again, for as long as it takes.
    pub(crate) async fn run(mut self, mut ear: Ear, stop: CancellationToken) {
        // At the start nobody had asked for figures yet.
        self.standing.iter().for_each(Standing::measure);
        let mut hangups = match signal(SignalKind::hangup()) {
            Ok(hangups) => Some(hangups),
            Err(error) => {
                tracing::error!(%error, "SIGHUP cannot be heard; `sexton apply` takes in edited files");
                None
            }
        };
        let mut pause = self.settings.every.0;
        while !stop.is_cancelled() {
            let mut told = false;
            let asked = tokio::select! {
                () = stop.cancelled() => break,
                () = heard(&mut hangups) => true,
                () = ear.heard() => { told = true; false }
                () = sleep(pause) => false,
            };
            if asked {
                tracing::info!("SIGHUP: reading the files");
                self.insist(&stop).await;
            }
            pause = self.look().await;
            let ask = if ear.is_on() { ASK_HEARD } else { ASK };
            if told || self.asked.elapsed() >= ask.min(self.settings.drift_after.0) {
                self.asked = Instant::now();
                self.compare().await;
            }
        }
        self.leave().await;
    }

    /// Reloads until the database has answered.
    async fn insist(&mut self, stop: &CancellationToken) {
        let mut pause = Duration::from_millis(500);
        while let Err(error) = self.reload(Occasion::Asked).await {
            tracing::error!(%error, "trying again in {pause:?}");
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
            }
        }
    }

    /// Takes an edit in that stands still; when to look again.
    async fn look(&mut self) -> Duration {
        let every = self.settings.every.0;
        if !self.settings.watch {
            return every.max(ASK);
        }
        let print = self.fingerprint().await;
        match self.watch.look(print.clone(), Instant::now()) {
            Next::Same => return every,
            Next::Wait(still) => return still.min(every),
            Next::Read => {}
        }
        let reading = settled(&self.source).await;
        if reading == self.last {
            // Touched, or written anew as they were: no reason to push aside what others have applied since.
            self.watch.took(print);
            return every;
        }
        let broken = reading.parse(&self.source).catalog.is_none();
        if is_doubtful(&self.last, &reading, broken) && self.watch.doubt() {
            return every;
        }
        tracing::info!("the files have changed: taking them in");
        if let Err(error) = self.take(print, reading, Occasion::Asked).await {
            tracing::error!(%error, "the edited files are taken in once the database answers");
        }
        every
    }

    /// Looks whether others have applied something else, and tells of trouble that lasts.
    async fn compare(&mut self) {
        let Some(standing) = self.standing.clone() else { return };
        let asking = ledger::pulse(&self.pool, self.source.me);
        let pulse = match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok(Some(pulse))) => pulse,
            // The planner says when the database is away.
            _ => return,
        };
        let now = standing.beside(&pulse, &self.source);
        if now.revision != standing.revision {
            self.poke.notify_one();
        }
        if now != standing {
            self.stand(now.clone(), false);
        }
        let written = if self.is_due(&now, &pulse) {
            now.record(&self.pool, &self.source).await
        } else if now != standing || !pulse.known {
            now.note(&self.pool, &self.source).await
        } else {
            return;
        };
        match written {
            Ok(true) => self.told = Some(Instant::now()),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "how the files stand could not be written; it is tried again");
                self.standing = Some(standing);
            }
        }
    }

    /// Whether people are to be told how they stand.
    fn is_due(&mut self, now: &Standing, pulse: &Pulse) -> bool {
        match now.state {
            FilesState::Current if pulse.others > 0 => {
                // Told once that trouble is over, too.
                self.told = None;
                false
            }
            FilesState::Current => self.told.is_none(),
            FilesState::Drifted if self.told.is_none() => self.since.elapsed() >= self.settings.drift_after.0,
            FilesState::Drifted | FilesState::Broken => self.told.is_none_or(|told| told.elapsed() >= AGAIN),
        }
    }

    /// This daemon's files count for nobody any more.
    async fn leave(&self) {
        let leaving = ledger::forget_station(&self.pool, self.source.me);
        // Should it fail: what is silent for a minute is taken for dead.
        let _ = tokio::time::timeout(Duration::from_secs(3), leaving).await;
    }

    async fn fingerprint(&self) -> Fingerprint {
        let (jobs, schedules) = (self.source.jobs.clone(), self.source.schedules.clone());
        // One that could not be taken differs from any, and the files are read.
        tokio::task::spawn_blocking(move || Fingerprint::take(&jobs, &schedules)).await.unwrap_or_default()
    }
}

/// The next SIGHUP; never, where there is no listening for it.
async fn heard(hangups: &mut Option<Signal>) {
    let heard = match hangups {
        Some(hangups) => hangups.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending::<()>().await;
    }
}

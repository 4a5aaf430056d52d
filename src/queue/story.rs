//! A run as somebody follows it: what is new since they last looked.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::{
    Run,
    history::seek,
    log::{Line, Place},
    look::Progressed,
};

/// How many lines one look takes at most.
const LINES: i64 = 500;

/// Something new of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum News {
    /// It is in another state, at another attempt, or was asked to end or to rest.
    State(State),
    /// It is farther.
    Progress(Progressed),
    /// It logged something.
    Log(Line),
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct State {
    /// A word of [`Live`](crate::state::Live) or [`Final`](crate::state::Final).
    pub state: String,
    /// Attempts spent.
    pub attempt: i32,
    /// Attempts in all.
    pub most_attempts: i32,
    /// The newest attempt's token.
    pub token: Option<i64>,
    /// When it is or was due.
    pub due_at: DateTime<Utc>,
    /// When the newest attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it is over; while it lives, why its last attempt ended.
    pub why: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Who asked for its end, if somebody did.
    pub cancel_by: Option<String>,
    /// Who paused it, while it is paused.
    pub pause_by: Option<String>,
}

impl State {
    fn of(run: &Run) -> Self {
        let last = run.attempts.as_array().and_then(|attempts| attempts.last());
        let before = last.and_then(|attempt| attempt.get("why")?.as_str()).filter(|_| !run.is_running());
        Self {
            state: run.state.clone(),
            attempt: run.spent,
            most_attempts: run.most_attempts,
            token: run.token,
            due_at: run.due_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            why: run.why.clone().or_else(|| before.filter(|_| !run.is_over()).map(str::to_owned)),
            help: run.help.clone(),
            cancel_by: run.cancel_by.clone(),
            pause_by: run.pause_by.clone(),
        }
    }
}

/// Follows one run.
#[derive(Debug, Clone)]
pub struct Follow {
    id: Uuid,
    place: Place,
    state: Option<State>,
    progress: Option<Progressed>,
    run: Option<Run>,
    behind: bool,
}

#[derive(sqlx::FromRow)]
struct Look {
    #[sqlx(flatten)]
    run: Run,
    lines: Json<Vec<Line>>,
}

impl Follow {
    /// From here on in its log; how it stands is news in any case.
    pub fn new(id: Uuid, place: Place) -> Self {
        Self { id, place, state: None, progress: None, run: None, behind: false }
    }

    /// How far in its log it came.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The run as it was seen last.
    pub fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// Whether there are more lines to be told already.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Whether the run is over and all of it was told.
    pub fn is_over(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.finished_at.is_some())
    }

    /// What is new, in order; `None`: there is no such run. One statement, for a run that there is.
    ///
    /// # Errors
    /// The database's; nothing is skipped then.
    pub async fn look(&mut self, pool: &PgPool) -> Result<Option<Vec<News>>, sqlx::Error> {
        let (id, place) = (self.id, self.place);
        let look: Option<Look> = seek(id, |since| async move {
            sqlx::query_as(include_str!("../../sql/queue/story.sql"))
                .bind(id)
                .bind(place.token())
                .bind(place.line())
                .bind(LINES)
                .bind(since)
                .fetch_optional(pool)
                .await
        })
        .await?;
        Ok(look.map(|look| self.see(look.run.with_forecast(), look.lines.0)))
    }

    fn see(&mut self, run: Run, lines: Vec<Line>) -> Vec<News> {
        // There may be more lines; that it is over is told after the last of them.
        let (over, whole) = (run.is_over(), (lines.len() as i64) < LINES);
        let state = Some(State::of(&run)).filter(|state| (!over || whole) && self.state.as_ref() != Some(state));
        let progress = run.progressed().filter(|progress| self.progress.as_ref() != Some(progress));
        self.run = Some(run);
        self.behind = !whole;
        self.place = lines.last().map_or(self.place, Line::place);
        self.state = state.clone().or(self.state.take());
        self.progress = progress.clone().or(self.progress.take());
        let mut news: Vec<News> = lines.into_iter().map(News::Log).collect();
        news.extend(progress.map(News::Progress));
        let at = if over { news.len() } else { 0 };
        news.splice(at..at, state.map(News::State));
        news
    }
}

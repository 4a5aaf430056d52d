//! A run as it happens, as Server-Sent Events: `state`, `progress`, `log`, and `end` when it is over.
//!
//! Each event's id is the place in the log that was reached, so a client that comes back with `Last-Event-ID` misses no
//! line and gets none twice; how the run stands is told anew. Who comes back after `end` is told to stay away (204).

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::stream;
use sqlx::PgPool;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Surface, problem::Problem, runs};
use crate::queue::{
    Follow, News,
    log::{BadPlace, Place},
};

/// How often a stream looks.
const LOOK: Duration = Duration::from_secs(1);
/// How often a silent stream says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How many streams there are at most.
const MOST: usize = 64;
/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often in a row the database may fail a stream before it ends; its client comes back.
const FAILURES: u32 = 10;
/// The id of the last event.
const END: &str = "end";

/// Bounds the streams of one daemon, and ends them with it.
#[derive(Debug, Clone)]
pub struct Streams {
    free: Arc<Semaphore>,
    over: CancellationToken,
}

impl Streams {
    /// Streams that end with `over`.
    pub fn until(over: CancellationToken) -> Self {
        Self { free: Arc::new(Semaphore::new(MOST)), over }
    }
}

/// `GET /api/v1/runs/{id}/events`.
pub(super) async fn stream(
    State(surface): State<Surface>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = runs::parse(&id)?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).filter(|last| !last.is_empty());
    if last == Some(END) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place: Place = match last {
        Some(last) => {
            last.parse().map_err(|error: BadPlace| Problem::bad_request(format!("Last-Event-ID: {error}")))?
        }
        None => Place::default(),
    };
    let permit = Arc::clone(&surface.streams.free).try_acquire_owned().map_err(|_| {
        let detail = format!("this daemon serves {MOST} streams at a time, and all are taken");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", "Too many streams", detail)
            .help("try again in a few seconds, or ask another daemon")
    })?;
    let mut follow = Follow::new(id, place);
    // The first look is part of the answer: who asks for a run that is not there is told so.
    let first = follow.look(&surface.pool).await.map_err(|error| Problem::database(&error))?;
    let first = first.ok_or_else(|| runs::no_run(id))?;
    let streaming = Streaming {
        pool: surface.pool,
        follow,
        over: surface.streams.over,
        news: Some(first),
        last: false,
        _permit: permit,
    };
    let events = stream::unfold(streaming, Streaming::next);
    let events = futures::StreamExt::flat_map(events, stream::iter);
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("still here"));
    // Proxies that collect an answer before they pass it on are asked not to.
    Ok(([(header::CACHE_CONTROL, "no-cache"), (header::HeaderName::from_static("x-accel-buffering"), "no")], sse)
        .into_response())
}

struct Streaming {
    pool: PgPool,
    follow: Follow,
    over: CancellationToken,
    /// What was seen and is not sent yet.
    news: Option<Vec<News>>,
    /// Whether the daemon ends, so that this look is the last one.
    last: bool,
    _permit: OwnedSemaphorePermit,
}

impl Streaming {
    /// The next events and what comes after them; `None`: it is over.
    async fn next(mut self) -> Option<(Vec<Result<Event, Infallible>>, Self)> {
        let mut failures = 0;
        loop {
            let news = match self.news.take() {
                Some(news) => news,
                None if self.follow.is_over() || self.last => return None,
                None => {
                    let pause = if self.follow.is_behind() { Duration::ZERO } else { LOOK };
                    tokio::select! {
                        // What became of it as its daemon ended is told, then the stream ends as well.
                        () = self.over.cancelled() => self.last = true,
                        () = sleep(pause) => {}
                    }
                    match timeout(PATIENCE, self.follow.look(&self.pool)).await {
                        Ok(Ok(Some(news))) => news,
                        Ok(Ok(None)) => return None,
                        Ok(Err(_)) | Err(_) if failures < FAILURES => {
                            failures += 1;
                            continue;
                        }
                        Ok(Err(_)) | Err(_) => return None,
                    }
                }
            };
            if !news.is_empty() {
                let events = news.iter().map(|news| Ok(self.event(news))).collect();
                return Some((events, self));
            }
        }
    }

    fn event(&self, news: &News) -> Event {
        let here = self.follow.place().to_string();
        let (name, id, data) = match news {
            News::State(state) if state.finished_at.is_some() => (END, END.to_owned(), serde_json::to_string(state)),
            News::State(state) => ("state", String::new(), serde_json::to_string(state)),
            News::Progress(progress) => ("progress", here, serde_json::to_string(progress)),
            News::Log(line) => ("log", line.place().to_string(), serde_json::to_string(line)),
        };
        let event = Event::default().event(name).data(data.unwrap_or_default());
        // A state comes before the lines that were seen with it: the place stays what it was.
        if id.is_empty() { event } else { event.id(id) }
    }
}

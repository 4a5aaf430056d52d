//! What attempts log, on its way into the database.
//!
//! ```text
//! tracing ─▶ layer ─▶ book (one an attempt, bounded) ─▶ keep (a batch a second) ─▶ sexton.run_log
//!                                                  └──▶ finish (before the ending is written) ─▶
//! ```
//!
//! An attempt that logs nothing costs nothing here. The log is the best that can be had without ever holding up an
//! ending: what the database does not take in time is dropped and counted.

mod layer;
mod pages;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicIsize, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use sqlx::PgPool;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::queue::{
    Claimed,
    log::{self, Line},
};
use pages::{Budget, Entry, Pages, Placed};

pub(super) use layer::attach;
pub use layer::layer;

/// How long lines wait for others.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one write may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an ending waits for the log.
const AT_THE_END: Duration = Duration::from_secs(2);
/// How many lines one statement writes.
const MOST: usize = 2_000;
/// How much of all attempts' logs is held in memory, in bytes.
const ROOM: isize = 16 * 1024 * 1024;

/// The log of one attempt.
#[derive(Debug)]
pub(super) struct Book {
    run: Uuid,
    token: i64,
    attempt: i32,
    attempts: i32,
    desk: Arc<Desk>,
    /// Whether the attempt has logged anything.
    used: AtomicBool,
    pages: Mutex<Option<Pages>>,
}

/// Where the books of one worker wait to be written down.
#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: Mutex<Vec<Arc<Book>>>,
    some: Notify,
    /// Held while lines are on their way, so that an ending can wait for them.
    writing: tokio::sync::Mutex<()>,
    /// Bytes held.
    held: AtomicIsize,
}

impl Book {
    pub(super) fn new(desk: &Arc<Desk>, run: &Claimed) -> Arc<Self> {
        Arc::new(Self {
            run: run.id,
            token: run.token,
            attempt: run.attempt,
            attempts: run.most_attempts,
            desk: Arc::clone(desk),
            used: AtomicBool::new(false),
            pages: Mutex::new(None),
        })
    }

    fn note(self: &Arc<Self>, entry: Entry) {
        let room = self.desk.held.load(Ordering::Relaxed) < ROOM;
        let mut pages = lock(&self.pages);
        let pages = pages.get_or_insert_with(|| Pages::new(Budget::of(self.attempts)));
        let before = pages.is_pending();
        let held = pages.push(entry, room);
        self.desk.held.fetch_add(held, Ordering::Relaxed);
        self.used.store(true, Ordering::Release);
        if !before && pages.is_pending() {
            lock(&self.desk.waiting).push(Arc::clone(self));
            self.desk.some.notify_one();
        }
    }

    fn with(&self, what: impl FnOnce(&mut Pages)) {
        if let Some(pages) = lock(&self.pages).as_mut() {
            what(pages);
        }
    }

    fn take(&self) -> Vec<Placed> {
        lock(&self.pages).as_mut().map(|pages| pages.take(Utc::now())).unwrap_or_default()
    }

    fn lines(&self, placed: &[Placed]) -> impl Iterator<Item = (Uuid, Line)> {
        placed.iter().map(|(place, entry)| {
            let line = Line {
                token: self.token,
                line: *place,
                attempt: self.attempt,
                at: entry.at,
                level: entry.level.to_owned(),
                target: entry.target.to_owned(),
                message: entry.message.clone(),
                fields: entry.fields.clone(),
            };
            (self.run, line)
        })
    }
}

/// Writes what waits, about once a second, until the worker drops it.
pub(super) async fn keep(pool: PgPool, desk: Arc<Desk>) {
    let mut failures = 0_u32;
    loop {
        desk.some.notified().await;
        sleep(PAUSE * (failures + 1).min(10)).await;
        let written = async {
            let _writing = desk.writing.lock().await;
            let books = std::mem::take(&mut *lock(&desk.waiting));
            write(&pool, &desk, &books).await
        };
        match written.await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures == 1 {
                    tracing::warn!(error, "what runs log cannot be written down; it is kept as long as there is room");
                }
            }
        }
    }
}

/// Writes the last lines of attempts that ended, before their endings; gives up soon, since no ending waits for a log.
pub(super) async fn finish(pool: &PgPool, desk: &Desk, books: impl Iterator<Item = &Arc<Book>>) {
    let books: Vec<Arc<Book>> = books.filter(|book| book.used.load(Ordering::Acquire)).cloned().collect();
    if books.is_empty() {
        return;
    }
    let writing = timeout(AT_THE_END, desk.writing.lock()).await;
    for book in &books {
        book.with(Pages::close);
    }
    let failed = match writing {
        Ok(_writing) => match timeout(AT_THE_END, write(pool, desk, &books)).await {
            Ok(written) => written.err(),
            Err(error) => Some(error.to_string()),
        },
        Err(error) => Some(error.to_string()),
    };
    if let Some(error) = failed {
        tracing::debug!(error, "the last lines of runs are written down after their endings");
        lock(&desk.waiting).extend(books);
        desk.some.notify_one();
    }
}

/// Lines that were taken from their books, until they are written down: dropped before that, they go back.
struct Taken<'a> {
    desk: &'a Desk,
    books: Vec<(&'a Arc<Book>, Vec<Placed>)>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        for (book, placed) in self.books.drain(..).filter(|(_, placed)| !placed.is_empty()) {
            book.with(|pages| pages.put_back(placed));
            lock(&self.desk.waiting).push(Arc::clone(book));
            self.desk.some.notify_one();
        }
    }
}

/// Writes all that these books have; what could not be written is in them again.
async fn write(pool: &PgPool, desk: &Desk, books: &[Arc<Book>]) -> Result<(), String> {
    let mut taken = Taken { desk, books: books.iter().map(|book| (book, book.take())).collect() };
    let lines: Vec<(Uuid, Line)> = taken.books.iter().flat_map(|(book, placed)| book.lines(placed)).collect();
    for part in lines.chunks(MOST) {
        match timeout(PATIENCE, log::add(pool, part)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if is_about_them(&error) => {
                tracing::error!(%error, lines = part.len(), "lines of runs' logs cannot be stored; they are dropped");
            }
            Ok(Err(error)) => return Err(error.to_string()),
            Err(error) => return Err(error.to_string()),
        }
    }
    let written: usize = taken.books.drain(..).flat_map(|(_, placed)| placed).map(|(_, entry)| entry.held()).sum();
    desk.held.fetch_sub(written as isize, Ordering::Relaxed);
    Ok(())
}

/// Whether the database refuses these lines, and not only now.
fn is_about_them(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|database| database.code()).unwrap_or_default();
    ["22", "23", "42", "54"].iter().any(|class| code.starts_with(class))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

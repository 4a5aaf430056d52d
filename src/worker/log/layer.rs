//! Hears what is logged inside the span of an attempt and hands it to the attempt's book.

use std::{fmt, sync::Arc};

use chrono::Utc;
use serde_json::{Map, Number, Value};
use tracing::{
    Event, Level, Metadata, Span, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, filter_fn},
    layer::Context,
    registry::LookupSpan,
};

use super::{Book, pages::Entry};
use crate::child::OUTPUT;

/// A message longer than this is cut, in bytes.
const MESSAGE: usize = 4096;
/// The text of one field longer than this is cut, in bytes.
const FIELD: usize = 1024;
/// The most fields of one line.
const FIELDS: usize = 24;

/// The layer that keeps what runs log; one of the process' subscriber.
pub fn layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Hears.with_filter(filter_fn(wanted).with_max_level_hint(LevelFilter::INFO))
}

/// Ties a book to the span of its attempt; where this process keeps no log of runs, nothing happens.
pub(in crate::worker) fn attach(span: &Span, book: &Arc<Book>) {
    span.with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<Registry>();
        if let Some(span) = registry.and_then(|registry| registry.span(id)) {
            span.extensions_mut().replace(Arc::clone(book));
        }
    });
}

/// The spans of attempts, and what is said in them but by the worker itself: that a run began and ended is in its row.
fn wanted(metadata: &Metadata<'_>) -> bool {
    const WORKER: &str = "sexton::worker";
    let target = metadata.target();
    if metadata.is_span() {
        return metadata.name() == "run" && target.starts_with(WORKER);
    }
    let least = if target.starts_with("sqlx") { Level::WARN } else { Level::INFO };
    *metadata.level() <= least && !target.starts_with(WORKER)
}

struct Hears;

impl<S> Layer<S> for Hears
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let book = context.event_scope(event).into_iter().flatten().find_map(|span| {
            let extensions = span.extensions();
            extensions.get::<Arc<Book>>().cloned()
        });
        if let Some(book) = book {
            book.note(entry(event));
        }
    }
}

fn entry(event: &Event<'_>) -> Entry {
    let mut seen = Seen::default();
    event.record(&mut seen);
    let metadata = event.metadata();
    let level = match *metadata.level() {
        Level::ERROR => "error",
        Level::WARN => "warn",
        _ => "info",
    };
    let target = metadata.target();
    // Of a program's output its pipe says enough.
    let target = target.strip_prefix(OUTPUT).map_or(target, |pipe| pipe.trim_start_matches(':'));
    let target = target.strip_prefix("sexton::").unwrap_or(target);
    let message = cut(seen.message, MESSAGE);
    let size = message.len() + seen.size;
    let fields = (!seen.fields.is_empty()).then_some(Value::Object(seen.fields));
    Entry { at: Utc::now(), level, target, message, fields, size }
}

/// The first bytes of a text that is too long, and how many are missing. PostgreSQL's texts hold no NUL.
fn cut(text: String, most: usize) -> String {
    let text = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text };
    if text.len() <= most {
        return text;
    }
    let end = text.floor_char_boundary(most);
    format!("{}… ({} bytes more)", &text[..end], text.len() - end)
}

/// What an event says.
#[derive(Default)]
struct Seen {
    message: String,
    fields: Map<String, Value>,
    size: usize,
}

impl Seen {
    fn set(&mut self, field: &Field, value: Value) {
        if self.fields.len() < FIELDS {
            self.size += field.name().len() + value.as_str().map_or(8, str::len);
            self.fields.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Seen {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Number::from_f64(value).map_or(Value::Null, Value::Number));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            _ => self.set(field, cut(value.to_owned(), FIELD).into()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.set(field, cut(format!("{value:?}"), FIELD).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        assert_eq!(cut("short".to_owned(), 10), "short");
        assert_eq!(cut("a\0b".to_owned(), 10), "a\u{fffd}b");
        assert_eq!(cut("äöü".to_owned(), 3), "ä… (4 bytes more)");
    }
}

//! The snapshot of a run: what it shares with others of its job, and what is its own.
//!
//! Runs are many and snapshots few, so the body is stored once, in `sexton.spec`. What hangs on a run's parameters
//! would make every body another one: those keys lie in the run's own row.

use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::spec::Spec;

/// The keys that hang on parameters; `sexton.enqueue` splits them off in the same way.
const OWN: [&str; 3] = ["params", "table", "then"];

/// A job as it was when its run became due: what is stored, and what could be read of it.
#[derive(Debug)]
pub struct Snapshot {
    value: Value,
    read: OnceLock<Result<Spec, String>>,
}

impl Snapshot {
    /// Of what is stored.
    pub fn new(value: Value) -> Arc<Self> {
        Arc::new(Self { value, read: OnceLock::new() })
    }

    /// As it is stored: one that cannot be read as a whole still tells some of it.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The job, read once for all runs that share the snapshot.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn spec(&self) -> Result<&Spec, &str> {
        let read = self.read.get_or_init(|| Spec::deserialize(&self.value).map_err(|error| error.to_string()));
        read.as_ref().map_err(String::as_str)
    }

    /// The same with a run's own keys in place of its own.
    pub(super) fn with(&self, own: Map<String, Value>) -> Arc<Self> {
        let mut value = self.value.clone();
        match &mut value {
            Value::Object(body) => body.extend(own),
            _ => value = Value::Object(own),
        }
        Self::new(value)
    }
}

/// A snapshot to be stored.
pub(super) struct Split {
    pub(super) body: Value,
    pub(super) own: Option<Value>,
}

impl Split {
    /// Of a run's job. Without parameters all of it is shared.
    ///
    /// # Errors
    /// It cannot be written as JSON; no snapshot of a file's is like that.
    pub(super) fn of(spec: &Spec) -> Result<Self, serde_json::Error> {
        let mut body = serde_json::to_value(spec)?;
        let own = body.as_object_mut().filter(|_| !spec.params.is_empty()).map(|keys| {
            let own = OWN.iter().filter_map(|key| Some(((*key).to_owned(), keys.remove(*key)?)));
            Value::Object(own.collect())
        });
        Ok(Self { body, own })
    }
}

//! The snapshot of a run: what it shares with others of its job, and what is its own.
//!
//! Runs are many and snapshots few, so the body is stored once, in `sexton.spec`. What hangs on a run's parameters
//! would make every body another one: those keys lie in the run's own row.

use std::sync::{Arc, LazyLock, OnceLock};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::spec::Spec;

/// The keys that hang on parameters; `sexton.enqueue` splits them off in the same way.
const OWN: [&str; 3] = ["params", "table", "then"];

/// A job as it was when its run became due: what is stored, and what could be read of it.
#[derive(Debug)]
pub struct Snapshot {
    /// All of it, or the keys of its own.
    value: Value,
    /// Whose other keys hold.
    shared: Option<Arc<Shared>>,
    read: OnceLock<Result<Spec, String>>,
}

/// What runs of a job share that have keys of their own.
#[derive(Debug)]
pub(super) struct Shared {
    body: Value,
    /// Read once for all of them, with whatever stands in place of their own keys.
    read: OnceLock<Result<Spec, String>>,
    whole: OnceLock<Arc<Snapshot>>,
}

impl Snapshot {
    /// Of all that is stored.
    pub fn new(value: Value) -> Arc<Self> {
        Arc::new(Self { value, shared: None, read: OnceLock::new() })
    }

    /// Of nothing: what it is has still to be found out.
    pub(super) fn unread() -> Arc<Self> {
        static NONE: LazyLock<Arc<Snapshot>> = LazyLock::new(|| Snapshot::new(Value::Null));
        Arc::clone(&NONE)
    }

    /// What is stored under a key: a snapshot that cannot be read as a whole still tells some of it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).or_else(|| self.shared.as_ref()?.body.get(key))
    }

    /// The job.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn spec(&self) -> Result<&Spec, &str> {
        let read = self.read.get_or_init(|| match &self.shared {
            None => read(&self.value),
            Some(shared) => shared.spec(&self.value),
        });
        read.as_ref().map_err(String::as_str)
    }
}

impl Shared {
    pub(super) fn new(body: Value) -> Arc<Self> {
        Arc::new(Self { body, read: OnceLock::new(), whole: OnceLock::new() })
    }

    /// The snapshot of a run that has these keys of its own.
    pub(super) fn with(self: &Arc<Self>, own: Option<Value>) -> Arc<Snapshot> {
        match own {
            Some(value) => Arc::new(Snapshot { value, shared: Some(Arc::clone(self)), read: OnceLock::new() }),
            None => Arc::clone(self.whole.get_or_init(|| Snapshot::new(self.body.clone()))),
        }
    }

    fn spec(&self, own: &Value) -> Result<Spec, String> {
        let is_own = |keys: &Map<String, Value>| {
            keys.contains_key("table") && keys.keys().all(|key| OWN.contains(&key.as_str()))
        };
        let Some(own) = own.as_object().filter(|keys| is_own(keys)) else { return read(&self.merged(own)) };
        let shared = self.read.get_or_init(|| read(&self.merged(&json!({ "table": null }))));
        let mut spec = shared.clone()?;
        spec.table.clone_from(&own["table"]);
        if let Some(params) = own.get("params") {
            spec.params = read(params)?;
        }
        if let Some(then) = own.get("then") {
            spec.then = read(then)?;
        }
        Ok(spec)
    }

    fn merged(&self, own: &Value) -> Value {
        match (self.body.clone(), own) {
            (Value::Object(mut body), Value::Object(own)) => {
                body.extend(own.clone());
                Value::Object(body)
            }
            (_, own) => own.clone(),
        }
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
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

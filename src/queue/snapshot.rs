//! The snapshot of a run: what it shares with others of its job, and what is its own.
//!
//! Runs are many and snapshots few, so the body is stored once, in `sexton.spec`. What hangs on a run's parameters
//! would make every body another one: those keys lie in the run's own row.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, OnceLock},
};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::spec::Spec;

/// The keys that hang on parameters; `sexton.enqueue` splits them off in the same way.
const OWN: [&str; 3] = ["params", "table", "then"];

/// A job as it was when its run became due.
#[derive(Debug)]
pub struct Snapshot {
    shared: Arc<Shared>,
    /// The keys of its own, as they are stored: most are read by the attempt alone, and once.
    own: Option<Box<RawValue>>,
    keys: OnceLock<Value>,
}

/// What runs of a job share, all of it where a run has nothing of its own.
#[derive(Debug)]
pub(super) struct Shared {
    body: Value,
    /// Read once for all of them, with whatever stands in place of their own keys.
    common: OnceLock<Result<Arc<Spec>, String>>,
    whole: OnceLock<Result<Arc<Spec>, String>>,
}

/// What an attempt is to do: a snapshot that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    /// The job, whose table, parameters and links may be those of another run.
    pub spec: Arc<Spec>,
    /// The kind's table with the parameters of this run set in it.
    pub table: Value,
    /// The parameters of this run.
    pub params: BTreeMap<String, Value>,
}

/// The keys of a run's own, and no others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    table: Value,
    #[serde(default)]
    params: BTreeMap<String, Value>,
    /// What follows is started by what is stored, not by the attempt; but what cannot be read must not begin.
    #[serde(default, rename = "then")]
    _then: Vec<Spec>,
}

impl Snapshot {
    /// Of nothing: what it is has still to be found out.
    pub fn unread() -> Arc<Self> {
        static NONE: LazyLock<Arc<Snapshot>> = LazyLock::new(|| Shared::new(Value::Null).with(None));
        Arc::clone(&NONE)
    }

    /// What is stored under a key: a snapshot that cannot be read as a whole still tells some of it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let shared = self.shared.body.get(key).filter(|_| !OWN.contains(&key));
        shared.or_else(|| self.own()?.get(key)).or_else(|| self.shared.body.get(key))
    }

    fn own(&self) -> Option<&Value> {
        let own = self.own.as_ref()?;
        Some(self.keys.get_or_init(|| serde_json::from_str(own.get()).unwrap_or_default()))
    }

    /// The job and what of it is this run's.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(&self) -> Result<Brief, String> {
        let Some(own) = &self.own else {
            let spec = self.shared.whole.get_or_init(|| read(&self.shared.body)).clone()?;
            return Ok(Brief { table: spec.table.clone(), params: spec.params.clone(), spec });
        };
        if let Ok(Own { table, params, _then }) = serde_json::from_str(own.get()) {
            let common = self.shared.common.get_or_init(|| read(&self.shared.merged(&json!({ "table": null }))));
            return Ok(Brief { spec: common.clone()?, table, params });
        }
        // Whatever that is, it stands in place of what is shared.
        let spec = read(&self.shared.merged(self.own().unwrap_or(&Value::Null)))?;
        Ok(Brief { table: spec.table.clone(), params: spec.params.clone(), spec })
    }
}

impl Shared {
    pub(super) fn new(body: Value) -> Arc<Self> {
        Arc::new(Self { body, common: OnceLock::new(), whole: OnceLock::new() })
    }

    /// The snapshot of a run that has these keys of its own.
    pub(super) fn with(self: &Arc<Self>, own: Option<Box<RawValue>>) -> Arc<Snapshot> {
        Arc::new(Snapshot { shared: Arc::clone(self), own, keys: OnceLock::new() })
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

fn read(value: &Value) -> Result<Arc<Spec>, String> {
    Spec::deserialize(value).map(Arc::new).map_err(|error| error.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Value {
        json!({
            "format": 1, "job": "nightly", "kind": "sql", "alert": ["ops"], "lease": "45s", "on_lost": "retry",
            "retry": { "attempts": 3 },
        })
    }

    fn snapshot(body: Value, own: &str) -> Arc<Snapshot> {
        Shared::new(body).with(Some(RawValue::from_string(own.to_owned()).expect("JSON")))
    }

    #[test]
    fn runs_that_differ_in_their_parameters_share_all_else() {
        let shared = Shared::new(body());
        let run =
            |own: &str| shared.with(Some(RawValue::from_string(own.to_owned()).expect("JSON"))).read().expect("read");
        let (one, two) = (run(r#"{"table": {"a": 1}, "params": {"n": 1}}"#), run(r#"{"table": {"a": 2}}"#));
        assert!(Arc::ptr_eq(&one.spec, &two.spec));
        assert_eq!((&one.table, &one.params["n"]), (&json!({ "a": 1 }), &json!(1)));
        assert_eq!((two.table, two.params.is_empty()), (json!({ "a": 2 }), true));
    }

    #[test]
    fn all_of_a_snapshot_may_be_the_runs_own() {
        let mut whole = body();
        whole["table"] = json!({ "a": 1 });
        let kept = snapshot(json!({}), &whole.to_string());
        assert_eq!(kept.get("alert"), Some(&json!(["ops"])));
        let read = kept.read().expect("read");
        assert_eq!((read.spec.job.as_str(), read.table), ("nightly", json!({ "a": 1 })));
        let shared = Shared::new(whole).with(None);
        assert_eq!(shared.read().expect("read").table, json!({ "a": 1 }));
    }

    #[test]
    fn what_cannot_be_read_says_why_and_still_tells_whom() {
        for (body, own, why) in [
            (body(), r#"{"params": {}}"#, "missing field `table`"),
            (body(), r#"{"table": {}, "then": [{"job": 5}]}"#, "expected a string"),
            (json!({ "alert": ["ops"] }), r#"{"table": {}}"#, "missing field `format`"),
            (json!({ "alert": ["ops"] }), "7", "invalid type"),
        ] {
            let snapshot = snapshot(body, own);
            let error = snapshot.read().expect_err(own);
            assert!(error.contains(why), "{own}: {error}");
            assert_eq!(snapshot.get("alert"), Some(&json!(["ops"])), "{own}");
        }
    }
}

//! The published JSON Schemas of job, schedule and data set files, which give completion in editors.
//!
//! They are made from the very types that read the files. What is read key by key has a shape here, whose keys a test
//! holds against those that are read.

#![expect(dead_code, reason = "shapes are never made, only described")]

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    job::OnBreach,
    limits::{Concurrency, Pace},
    params::{Role, Sort},
    policy::{CATCH_UP_MOST, CatchUp, Overlap},
};
use crate::{
    dataset::Definition,
    expect::Expect,
    kinds::{self, Entry, ParamsAre},
    retry::Retry,
    slots::{Cron, Dst},
    span::Span,
    spec::On,
    state::OnLost,
    windows::Slots,
};

/// A job: what can run. Its name is the file's name without `.toml`; one of its tables says what it does.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Job {
    /// One line for people.
    about: Option<String>,
    /// How long one attempt may take.
    timeout: Option<Span>,
    /// How often it is tried.
    retry: Option<Retry>,
    /// Higher is claimed earlier; a point is worth a minute of waiting.
    #[schemars(range(min = -100, max = 100))]
    priority: Option<i16>,
    /// The channels that are told, by their names in `sexton.toml`; `[]` for the log only.
    alert: Option<Vec<String>>,
    /// Thresholds on the run's report, by entry.
    expect: Option<BTreeMap<String, Expect>>,
    /// What a report that breaks a threshold means.
    on_breach: Option<OnBreach>,
    /// What happens to a run whose worker was lost.
    on_lost: Option<OnLost>,
    /// How many of its runs may be running at the same time.
    concurrency: Option<Running>,
    /// How many of its runs may start in a time.
    rate: Option<Pace>,
    /// A group whose jobs never overlap; `false` lets it overlap what dumps or moves the same data.
    exclusive: Option<Exclusive>,
    /// Labels that a daemon must have to run it.
    needs: Option<Vec<String>>,
    /// What a trigger may set; nothing else can be.
    params: Option<BTreeMap<String, Param>>,
    /// What comes after it, where a schedule names nothing else.
    then: Option<Vec<Then>>,
}

/// How many at the same time: in all, or of those with the same value of a parameter.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Running {
    All(#[schemars(range(min = 1))] u32),
    ByKey(Concurrency),
}

/// The name of a group, or `false`.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Exclusive {
    Group(String),
    Not(bool),
}

/// What comes after: a job once the entry before is done, or a link that says more.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Then {
    Job(String),
    Link(Link),
}

/// A link of a chain.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Link {
    /// The job; it comes once in a chain.
    job: String,
    /// Jobs of the chain that must be over first; the entry before without it.
    #[schemars(length(min = 1))]
    after: Option<Vec<String>>,
    /// How they must have ended; `success` without it.
    on: Option<On>,
}

/// A parameter of a job.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Param {
    /// What sort of value it takes.
    r#type: Sort,
    /// Its value when nobody sets it; without one, each trigger must set it.
    default: Option<Given>,
    /// The least value.
    min: Option<Given>,
    /// The largest value.
    max: Option<Given>,
    /// The only values there are.
    #[schemars(length(min = 1))]
    one_of: Option<Vec<Given>>,
    /// Who may set it.
    role: Option<Role>,
    /// One line for people.
    about: Option<String>,
}

/// The value of a parameter.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Given {
    Boolean(bool),
    Number(f64),
    Text(String),
    Strings(Vec<String>),
}

/// Schedules: when jobs are due.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Schedules {
    /// When a job is due.
    at: Option<Vec<At>>,
    /// When slots are skipped or wait, or alerts do.
    window: Option<Vec<Window>>,
}

/// A window: recurring (`cron` and `lasts`), once (`from` and `until`), or the days of a `calendar`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Window {
    /// Its name, unique over all files.
    name: String,
    /// One line for people.
    about: Option<String>,
    /// When it begins, on the clock of `zone`.
    cron: Option<Cron>,
    /// For how long it is open each time.
    lasts: Option<Span>,
    /// When it begins, once; without an offset, on the clock of `zone`.
    from: Option<String>,
    /// When it ends.
    until: Option<String>,
    /// The name of a file in `schedules/calendars`, without its ending.
    calendar: Option<String>,
    /// Where its clock hangs: an IANA name such as `Europe/Berlin`. UTC without it.
    zone: Option<String>,
    /// What becomes of the slots that it closes.
    slots: Option<Slots>,
    /// Whether what lies outside of it is closed, instead of what lies in it.
    only: Option<bool>,
    /// Whether alerts wait until it is over.
    mute: Option<bool>,
    /// Whether it holds for every schedule, also for those that do not name it.
    everywhere: Option<bool>,
}

/// The keys that say when a window is, and of which a window has one set.
const WHEN: [&[&str]; 3] = [&["cron", "lasts"], &["from", "until"], &["calendar"]];

/// When a job is due.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct At {
    /// Its name, unique over all files: how its slots are known.
    name: String,
    /// The job: the name of its file without `.toml`.
    job: String,
    /// When, on the clock of `zone`.
    cron: Cron,
    /// Where that clock hangs: an IANA name such as `Europe/Berlin`. UTC without it.
    zone: Option<String>,
    /// What happens when clocks are changed.
    dst: Option<Dst>,
    /// What happens to slots that were missed.
    catch_up: Option<CatchUp>,
    /// How old a missed slot may be and still be caught up; any age without it.
    catch_up_window: Option<Span>,
    /// How many missed slots fire at most, where `catch_up` is `all`: the newest ones. 100 without it.
    #[schemars(range(min = 1, max = CATCH_UP_MOST))]
    catch_up_max: Option<u32>,
    /// How late a slot may be and still count as on time; `60s` without it.
    grace: Option<Span>,
    /// What happens when the job is still live.
    overlap: Option<Overlap>,
    /// How far its starts may be moved, each by the same: made from its name.
    splay: Option<Span>,
    /// How far each start may be moved, each by its own: made from its slot.
    jitter: Option<Span>,
    /// After how many failures in a row the schedule pauses itself.
    #[schemars(range(min = 1))]
    pause_on_failure: Option<u32>,
    /// Windows that it keeps, by name.
    windows: Option<Vec<String>>,
    /// Whether it is on.
    enabled: Option<bool>,
    /// Parameters for the job, and for those of `then` that declare them.
    params: Option<BTreeMap<String, Given>>,
    /// What comes after the job; without it, what the job's own file names.
    then: Option<Vec<Then>>,
}

/// The schema of `jobs/*.toml`.
pub fn job() -> Value {
    let mut generator = generator();
    let mut root = Job::json_schema(&mut generator);
    let tables: Vec<(&Entry, Schema)> = kinds::ALL.iter().map(|kind| (kind, (kind.schema)(&mut generator))).collect();
    let mut definitions = generator.take_definitions(true);
    let mut branches = Vec::new();
    for (kind, table) in tables {
        branches.push(branch(kind, &table, &mut definitions));
        if let Some(Value::Object(properties)) = root.get_mut("properties") {
            properties.insert(kind.name.to_owned(), table.to_value());
        }
    }
    root.insert("oneOf".to_owned(), Value::Array(branches));
    whole("A job of Sexton", root, generator, definitions)
}

/// The schema of `schedules/*.toml`.
pub fn schedule() -> Value {
    let mut generator = generator();
    let root = Schedules::json_schema(&mut generator);
    let mut definitions = generator.take_definitions(true);
    if let Some(Value::Object(window)) = definitions.get_mut("Window") {
        window.insert("oneOf".to_owned(), WHEN.iter().map(|keys| json!({ "required": keys })).collect());
    }
    whole("Schedules of Sexton", root, generator, definitions)
}

/// The schema of `jobs/datasets/*.toml`.
pub fn dataset() -> Value {
    let mut generator = generator();
    let root = Definition::json_schema(&mut generator);
    let definitions = generator.take_definitions(true);
    whole("A data set of Sexton", root, generator, definitions)
}

/// Draft 7 is the newest that the language servers of TOML know.
fn generator() -> SchemaGenerator {
    SchemaSettings::draft07().into_generator()
}

/// What holds when the job's table is this kind's. What a kind needs may also come from `[params]`.
fn branch(kind: &Entry, table: &Schema, definitions: &mut Map<String, Value>) -> Value {
    let mut needs = vec![json!(kind.name)];
    if kind.children {
        needs.push(json!("timeout"));
    }
    let mut branch = json!({ "required": needs });
    let name = table.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    if kind.params == ParamsAre::Keys
        && let Some(Value::Object(table)) = name.and_then(|name| definitions.get_mut(name))
        && let Some(Value::Array(keys)) = table.remove("required")
    {
        let either = keys.iter().map(|key| {
            json!({ "anyOf": [
                { "properties": { kind.name: { "required": [key] } } },
                { "required": ["params"], "properties": { "params": { "required": [key] } } },
            ]})
        });
        branch["allOf"] = either.collect();
    }
    branch
}

fn whole(title: &str, mut root: Schema, mut generator: SchemaGenerator, definitions: Map<String, Value>) -> Value {
    for transform in generator.transforms_mut() {
        transform.transform(&mut root);
    }
    root.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    root.insert("title".to_owned(), json!(title));
    root.insert("definitions".to_owned(), Value::Object(definitions));
    tidied(root.to_value())
}

/// Without what TOML does not have (null), and without what only Rust has (sizes of numbers); keys in order.
fn tidied(value: Value) -> Value {
    let Value::Object(mut object) = value else {
        return match value {
            Value::Array(items) => items.into_iter().map(tidied).collect(),
            other => other,
        };
    };
    let is_null = |item: &Value| *item == json!("null") || item.get("type") == Some(&json!("null"));
    for word in ["type", "anyOf"] {
        let Some(Value::Array(items)) = object.get_mut(word) else { continue };
        items.retain(|item| !is_null(item));
        if items.len() != 1 {
            continue;
        }
        match (word, items.remove(0)) {
            ("type", only) => {
                object.insert("type".to_owned(), only);
            }
            // A reference has no neighbours in draft 7.
            (_, only) if object.len() > 1 => {
                object.remove("anyOf");
                object.insert("allOf".to_owned(), json!([only]));
            }
            (_, only) => return tidied(only),
        }
    }
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
    if object.get("type").is_some_and(|sort| sort == "integer" || sort == "number") {
        object.remove("format");
    }
    if let Some(Value::String(text)) = object.get_mut("description") {
        // Rust's links mean nothing to an editor.
        let plain = text.replace("[`", "`").replace("`]", "`");
        *text = plain.split("\n\n").map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
    }
    let sorted: BTreeMap<String, Value> = object.into_iter().map(|(key, value)| (key, tidied(value))).collect();
    Value::Object(sorted.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys<T: JsonSchema>() -> Vec<String> {
        let shape = T::json_schema(&mut generator()).to_value();
        shape["properties"].as_object().expect("properties").keys().cloned().collect()
    }

    fn sorted<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
        keys.sort();
        keys
    }

    #[test]
    fn the_shapes_have_the_keys_that_are_read() {
        let of = |keys: Vec<String>| sorted(keys.iter().map(String::as_str));
        assert_eq!(of(keys::<Job>()), sorted(super::super::job::COMMON));
        assert_eq!(of(keys::<Param>()), sorted(super::super::params::KEYS));
        let entry = super::super::schedule::KEYS.into_iter().chain(super::super::policy::KEYS);
        assert_eq!(of(keys::<At>()), sorted(entry));
        assert_eq!(of(keys::<Link>()), sorted(super::super::then::KEYS));
        assert_eq!(of(keys::<Window>()), sorted(super::super::window::KEYS));
    }

    #[test]
    fn nothing_of_rust_s_own_is_left() {
        for schema in [job(), schedule(), dataset()] {
            let text = schema.to_string();
            for word in ["\"null\"", "uint", "int64", ":null"] {
                assert!(!text.contains(word), "{word} is in {text}");
            }
        }
    }
}

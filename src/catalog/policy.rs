//! What a schedule's entry says about slots that come late, in crowds, or while the job still runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use super::doc::{Doc, Node};
use crate::{slots::Spread, span::Span};

/// How the slots of a schedule are decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What happens to slots that were missed.
    pub catch_up: CatchUp,
    /// How old a missed slot may be and still be caught up; `None` means any age.
    pub catch_up_window: Option<Span>,
    /// How many missed slots fire at most, where all may.
    pub catch_up_max: u32,
    /// How late a slot may be and still count as on time.
    pub grace: Span,
    /// What happens when the job is still live.
    pub overlap: Overlap,
    /// How far its starts may be moved, each by the same.
    pub splay: Span,
    /// How far each start may be moved, each by its own.
    pub jitter: Span,
    /// After how many failures in a row the schedule pauses itself.
    pub pause_on_failure: Option<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            catch_up: CatchUp::default(),
            catch_up_window: None,
            catch_up_max: 100,
            grace: Span::seconds(60),
            overlap: Overlap::default(),
            splay: Span::seconds(0),
            jitter: Span::seconds(0),
            pause_on_failure: None,
        }
    }
}

impl Policy {
    /// How far starts may be moved.
    pub fn spread(&self) -> Spread {
        Spread { splay: self.splay.0, jitter: self.jitter.0 }
    }
}

/// What happens to slots that were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are gone.
    Skip,
    /// The latest one fires; it stands for the ones before.
    #[default]
    Latest,
    /// Each fires, up to `catch_up_max` of them.
    All,
}

/// What happens when the job is still live: waiting, ready, running, backing off or held; whoever asked for that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The slot is skipped.
    #[default]
    Skip,
    /// One run waits until no other is live; while it waits, further slots are skipped.
    BufferOne,
    /// One run waits; a newer slot takes its place.
    BufferLatest,
    /// Each waits for its turn, up to [`BUFFER_MOST`].
    BufferAll,
    /// The others are asked to stop; the slot's run starts once they have.
    CancelOther,
    /// The others are stopped at once, without time to end in peace; the slot's run starts once they are gone.
    TerminateOther,
    /// Runs may overlap.
    AllowAll,
}

/// How many runs of a job may wait for their turn; further slots are skipped.
pub const BUFFER_MOST: u64 = 1000;

/// The most of `catch_up_max`.
pub(super) const CATCH_UP_MOST: u32 = 1000;

/// The keys that are read here.
pub(super) const KEYS: [&str; 8] =
    ["catch_up", "catch_up_window", "catch_up_max", "grace", "overlap", "splay", "jitter", "pause_on_failure"];

/// Reads the keys of an entry; every problem is told.
pub(super) fn read(doc: &mut Doc<'_>, table: &DeTable<'_>) -> Option<Policy> {
    let usual = Policy::default();
    let catch_up = or(doc, table, "catch_up", usual.catch_up);
    let catch_up_window = match table.get("catch_up_window") {
        Some(node) => doc.read(node).map(Some),
        None => Some(None),
    };
    let catch_up_max = count(doc, table, "catch_up_max", CATCH_UP_MOST).map(|max| max.unwrap_or(usual.catch_up_max));
    let grace = or(doc, table, "grace", usual.grace);
    let overlap = or(doc, table, "overlap", usual.overlap);
    let splay = or(doc, table, "splay", usual.splay);
    let jitter = or(doc, table, "jitter", usual.jitter);
    let pause_on_failure = count(doc, table, "pause_on_failure", u32::MAX);
    let policy = Policy {
        catch_up: catch_up?,
        catch_up_window: catch_up_window?,
        catch_up_max: catch_up_max?,
        grace: grace?,
        overlap: overlap?,
        splay: splay?,
        jitter: jitter?,
        pause_on_failure: pause_on_failure?,
    };
    doubts(doc, table, &policy);
    Some(policy)
}

fn or<T: serde::de::DeserializeOwned>(doc: &mut Doc<'_>, table: &DeTable<'_>, key: &str, usual: T) -> Option<T> {
    table.get(key).map_or(Some(usual), |node| doc.read(node))
}

/// A whole number from 1.
fn count(doc: &mut Doc<'_>, table: &DeTable<'_>, key: &str, most: u32) -> Option<Option<u32>> {
    let Some(node) = table.get(key) else { return Some(None) };
    let number = doc.read::<i64>(node)?;
    let fits = u32::try_from(number).ok().filter(|number| (1..=most).contains(number));
    if fits.is_none() {
        let range = if most == u32::MAX { "1 or more".to_owned() } else { format!("1 to {most}") };
        doc.error(node.span(), format!("`{key}` must be {range}, not {number}"), Some(format!("write {key} = 3")));
    }
    fits.map(Some)
}

/// What can be read and yet does nothing.
fn doubts(doc: &mut Doc<'_>, table: &DeTable<'_>, policy: &Policy) {
    let mut idle = |key: &str, node: &Node<'_>, why: &str| {
        doc.warning(node.span(), format!("`{key}` does nothing here: {why}"), Some(format!("leave {key} out")));
    };
    if let (Some(node), true) = (table.get("catch_up_max"), policy.catch_up != CatchUp::All) {
        idle("catch_up_max", node, "catch_up is not \"all\"");
    }
    if let (Some(node), true) = (table.get("catch_up_window"), policy.catch_up == CatchUp::Skip) {
        idle("catch_up_window", node, "catch_up is \"skip\"");
    }
    if let (Some(node), Some(window)) = (table.get("catch_up_window"), policy.catch_up_window)
        && window < policy.grace
        && policy.catch_up != CatchUp::Skip
    {
        idle("catch_up_window", node, "it is shorter than `grace`, and a slot within that is on time");
    }
}

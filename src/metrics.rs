//! The names and meanings of all metrics.
/// Counter, by `job`, `kind` and `outcome`: attempts that ended, as the words of `Outcome` and `given_back`, `lost`.
pub const RUNS: &str = "sexton_runs_total";
/// Histogram, by `job` and `kind`: how long attempts took, in seconds.
pub const RUN_SECONDS: &str = "sexton_run_duration_seconds";
/// Histogram: how long runs waited between being due and being claimed, in seconds.
pub const START_DELAY: &str = "sexton_run_start_delay_seconds";
/// Counter: attempts that ended after their run had been taken from them; nothing of them was written.
pub const STALE: &str = "sexton_stale_completions_total";
/// Counter, by `fate`: runs taken from silent workers.
pub const RESCUED: &str = "sexton_runs_rescued_total";
/// Gauge: runs that this process works on.
pub const RUNNING: &str = "sexton_runs_running";
/// Counter: heartbeats that did not reach the database.
pub const BEATS_MISSED: &str = "sexton_heartbeats_missed_total";

//! The names and meanings of all metrics, and the one recorder behind `/metrics`.
//!
//! Base units, `_total` on counters, and no label whose values are without bound.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Attempts that ended, by `job`, `kind` and `outcome`: the words of `Outcome` and `given_back`, `lost`.
pub const RUNS: &str = "sexton_runs_total";
/// Seconds that attempts took, by `job` and `kind`.
pub const RUN_SECONDS: &str = "sexton_run_duration_seconds";
/// Seconds that runs waited between being due and being claimed.
pub const START_DELAY: &str = "sexton_run_start_delay_seconds";
/// Attempts that ended after their run had been taken from them; nothing of them was written.
pub const STALE: &str = "sexton_stale_completions_total";
/// Runs taken from silent workers, by `fate`.
pub const RESCUED: &str = "sexton_runs_rescued_total";
/// Runs that this process works on.
pub const RUNNING: &str = "sexton_runs_running";
/// Heartbeats that did not reach the database.
pub const BEATS_MISSED: &str = "sexton_heartbeats_missed_total";
/// Live runs, by `state`.
pub const QUEUE_DEPTH: &str = "sexton_queue_depth";
/// Seconds that the oldest ready run has been due.
pub const QUEUE_OLDEST: &str = "sexton_queue_oldest_seconds";
/// Ready runs that no living daemon can take, since none has all that they need.
pub const STRANDED: &str = "sexton_queue_stranded";
/// Slots decided, by `decision`.
pub const SLOTS: &str = "sexton_slots_total";
/// When a schedule is due next, in seconds since 1970, by `schedule`.
pub const NEXT_SLOT: &str = "sexton_schedule_next_run_timestamp_seconds";
/// When this process last looked at every schedule without an error, in seconds since 1970.
pub const PLANNED: &str = "sexton_planner_last_tick_timestamp_seconds";
/// Messages handed to channels, by `channel` and `outcome`.
pub const ALERTS: &str = "sexton_alerts_total";
/// When a job last succeeded, in seconds since 1970, by `job`.
pub const LAST_SUCCESS: &str = "sexton_job_last_success_timestamp_seconds";
/// Rows of data sets by what became of them, by `job`, `kind` and `outcome`: `archived`, `deleted`, `restored`, `migrated`,
/// and why others stayed.
pub const ROWS: &str = "sexton_data_rows_total";
/// Parent rows of a data set when a run last counted them, by `target`, `dataset` and `side` (`main`, `archive`).
pub const DATA_ROWS: &str = "sexton_data_rows";
/// Bytes of all tables of a data set with their indexes, likewise.
pub const DATA_BYTES: &str = "sexton_data_bytes";
/// Bad rows that the last validation in this process found, by `job`, `check` and `severity`.
pub const VALIDATION_ISSUES: &str = "sexton_validation_issues";
/// When the newest proven backup was taken, in seconds since 1970, by `name`; 0 while none is proven.
pub const BACKUP_PROVEN: &str = "sexton_backup_last_proven_timestamp_seconds";
/// How long the newest proof took to restore, by `name`.
pub const BACKUP_RESTORE: &str = "sexton_backup_restore_seconds";
/// Bytes of the newest backup as they are stored, by `name`.
pub const BACKUP_BYTES: &str = "sexton_backup_bytes";
/// How long taking the newest backup lasted, by `name`.
pub const BACKUP_SECONDS: &str = "sexton_backup_duration_seconds";
/// Bytes of the dump, before compression, that a second of it took, by `name`.
pub const BACKUP_SPEED: &str = "sexton_backup_bytes_per_second";
/// Backups, by `name` and `state`.
pub const BACKUP_COUNT: &str = "sexton_backup_count";
/// Bytes of all backups in a vault, by `vault`.
pub const VAULT_BYTES: &str = "sexton_vault_bytes";
/// How many bytes a vault is meant to hold at most, by `vault`.
pub const VAULT_BUDGET: &str = "sexton_vault_budget_bytes";
/// 1 while the files on disk are the ones in use, 0 while they are broken or differ.
pub const FILES_GOOD: &str = "sexton_config_last_reload_successful";
/// 1 while the files on disk are good and are not the active revision's.
pub const FILES_DRIFTED: &str = "sexton_config_drifted";
/// The active revision, as this process knows it.
pub const FILES_REVISION: &str = "sexton_config_revision";
/// 1 while all that a scheduled job needs was there when this process last looked, else 0, by `job`.
pub const JOB_READY: &str = "sexton_job_ready";
/// Seconds that this machine's clock is ahead of the queue database's; negative when it is behind.
pub const CLOCK_SKEW: &str = "sexton_clock_skew_seconds";
/// Bytes of memory that this process has (its resident set), under the name that every Prometheus dashboard knows.
pub const MEMORY: &str = "process_resident_memory_bytes";
/// Always 1, with the `version` as label.
pub const BUILD: &str = "sexton_build_info";

/// Installs the recorder for this process and describes every metric.
///
/// Where a recorder is installed already (tests), the handle renders nothing of what that one collects.
pub fn install() -> PrometheusHandle {
    let buckets = [0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1_800.0, 7_200.0];
    let builder = PrometheusBuilder::new();
    let builder = match builder.set_buckets_for_metric(Matcher::Full(RUN_SECONDS.to_owned()), &buckets) {
        Ok(builder) => builder,
        // Only an empty list of buckets is refused.
        Err(_) => PrometheusBuilder::new(),
    };
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_ok() {
        describe();
    }
    handle
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!(RUNS, "Attempts that ended");
    describe_histogram!(START_DELAY, "Seconds that runs waited between being due and being claimed");
    describe_gauge!(RUNNING, "Runs that this process works on");
    describe_counter!(BEATS_MISSED, "Heartbeats that did not reach the database");
    describe_histogram!(RUN_SECONDS, "Seconds that attempts took");
    describe_counter!(STALE, "Results that came after their lease was lost and changed nothing");
    describe_counter!(RESCUED, "Runs rescued from silent workers");
    describe_gauge!(QUEUE_DEPTH, "Live runs");
    describe_gauge!(QUEUE_OLDEST, "Seconds that the oldest ready run has been due");
    describe_gauge!(STRANDED, "Ready runs that no living daemon can take");
    describe_counter!(SLOTS, "Slots decided");
    describe_gauge!(NEXT_SLOT, "When a schedule is due next, in seconds since 1970");
    describe_gauge!(PLANNED, "When every schedule was last looked at without an error, in seconds since 1970");
    describe_counter!(ALERTS, "Messages handed to channels");
    describe_gauge!(LAST_SUCCESS, "When a job last succeeded, in seconds since 1970");
    describe_counter!(ROWS, "Rows of data sets by what became of them");
    describe_gauge!(DATA_ROWS, "Parent rows of a data set when a run last counted them");
    describe_gauge!(DATA_BYTES, "Bytes of a data set's tables when a run last counted its rows");
    describe_gauge!(VALIDATION_ISSUES, "Bad rows that the last validation found");
    describe_gauge!(BACKUP_PROVEN, "When the newest proven backup was taken, in seconds since 1970");
    describe_gauge!(BACKUP_RESTORE, "Seconds that restoring took at the newest proof");
    describe_gauge!(BACKUP_BYTES, "Bytes of the newest backup as they are stored");
    describe_gauge!(BACKUP_SECONDS, "Seconds that taking the newest backup lasted");
    describe_gauge!(BACKUP_SPEED, "Bytes of the dump that a second of the newest backup took");
    describe_gauge!(BACKUP_COUNT, "Backups by state");
    describe_gauge!(VAULT_BYTES, "Bytes of all backups in a vault");
    describe_gauge!(VAULT_BUDGET, "Bytes that a vault is meant to hold at most");
    describe_gauge!(FILES_GOOD, "1 while the files on disk are good and in use");
    describe_gauge!(FILES_DRIFTED, "1 while the files on disk are good and are not the active revision's");
    describe_gauge!(FILES_REVISION, "The active revision of the files");
    describe_gauge!(JOB_READY, "1 while all that a scheduled job needs is there");
    describe_gauge!(CLOCK_SKEW, "Seconds that this machine's clock is ahead of the database's");
    describe_gauge!(MEMORY, "Resident memory of this process in bytes");
    describe_gauge!(BUILD, "The version of this binary");
    metrics::gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

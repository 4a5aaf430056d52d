//! What a report tells the metrics: rows by what became of them, and how big main and archive are.

use serde_json::Value;

use crate::{
    metrics::{DATA_BYTES, DATA_ROWS, ROWS},
    outcome::Report,
};

/// Entries of reports, and what became of the rows that they count.
const OUTCOMES: &[(&str, &str)] = &[
    ("rows_archived", "archived"),
    ("rows_deleted", "deleted"),
    ("rows_restored", "restored"),
    ("rows_migrated", "migrated"),
    ("rows_already_there", "already_there"),
    ("rows_invalid", "invalid"),
    ("rows_refused", "refused"),
    ("rows_kept_held", "kept_held"),
    ("rows_kept_critical", "kept_critical"),
    ("rows_kept_open", "kept_open"),
    ("rows_stuck", "stuck"),
    ("rows_skipped_locked", "skipped_locked"),
];

/// Counts what a finished run of `job` did. `table` is the kind's table as the run carries it; a kind that has no data
/// set counts nothing.
pub(super) fn count(job: &str, kind: &'static str, table: &Value, report: &Report) {
    let name = |key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
    let (Some(target), Some(dataset)) = (name("target"), name("dataset")) else { return };
    for (side, rows, bytes) in
        [("main", "main_rows_after", "main_bytes_after"), ("archive", "archive_rows_after", "archive_bytes_after")]
    {
        let labels = [("target", target.clone()), ("dataset", dataset.clone()), ("side", side.to_owned())];
        if let Some(rows) = report.number(rows) {
            metrics::gauge!(DATA_ROWS, &labels).set(rows);
        }
        if let Some(bytes) = report.number(bytes) {
            metrics::gauge!(DATA_BYTES, &labels).set(bytes);
        }
    }
    // What a dry run says has not happened.
    if report.get("dry_run") == Some(&true.into()) {
        return;
    }
    for (entry, outcome) in OUTCOMES {
        if let Some(rows) = report.number(entry) {
            metrics::counter!(ROWS, "job" => job.to_owned(), "kind" => kind, "outcome" => *outcome)
                .increment(rows as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(table: &Value, report: &Report) -> String {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || count("a-job", "archive", table, report));
        recorder.handle().render()
    }

    #[test]
    fn rows_are_counted_by_what_became_of_them_and_a_dry_run_counts_only_what_is_there() {
        let table = json!({ "target": "collector", "dataset": "orders" });
        let mut report = Report::new();
        report.set("dry_run", false);
        report.set("rows_archived", 7);
        report.set("rows_kept_open", 2);
        report.set("archive_rows_after", 9);
        let told = rendered(&table, &report);
        assert!(told.contains(r#"sexton_data_rows_total{job="a-job",kind="archive",outcome="archived"} 7"#), "{told}");
        assert!(told.contains(r#"sexton_data_rows_total{job="a-job",kind="archive",outcome="kept_open"} 2"#), "{told}");
        let size = r#"sexton_data_rows{target="collector",dataset="orders",side="archive"} 9"#;
        assert!(told.contains(size), "{told}");

        report.set("dry_run", true);
        let told = rendered(&table, &report);
        assert!(!told.contains("sexton_data_rows_total") && told.contains(size), "{told}");
        assert_eq!(rendered(&json!({ "target": "collector" }), &report), "");
    }
}

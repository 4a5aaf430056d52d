//! The text of the functions that a target gets: those that move the rows of any data set, and those of the
//! collector, by the names that its people know.

/// The functions in the schema `sexton`, each after those that it is made of.
const ENGINE: &[&str] = &[
    include_str!("../../sql/functions/condition_sql.sql"),
    include_str!("../../sql/functions/columns_sql.sql"),
    include_str!("../../sql/functions/column_of.sql"),
    include_str!("../../sql/functions/source_sql.sql"),
    include_str!("../../sql/functions/name_sql.sql"),
    include_str!("../../sql/functions/key_names.sql"),
    include_str!("../../sql/functions/pick_keys.sql"),
    include_str!("../../sql/functions/checked_argument.sql"),
    include_str!("../../sql/functions/days_ago.sql"),
    include_str!("../../sql/functions/sum_moves.sql"),
    include_str!("../../sql/functions/keys_sql.sql"),
    include_str!("../../sql/functions/rows_sql.sql"),
    include_str!("../../sql/functions/leave_sql.sql"),
    include_str!("../../sql/functions/named_sql.sql"),
    include_str!("../../sql/functions/checked_shape.sql"),
    include_str!("../../sql/functions/check_conditions.sql"),
    include_str!("../../sql/functions/archive_changes.sql"),
    include_str!("../../sql/functions/check_privileges.sql"),
    include_str!("../../sql/functions/check_order.sql"),
    include_str!("../../sql/functions/heal.sql"),
    include_str!("../../sql/functions/locked_shape.sql"),
    include_str!("../../sql/functions/script.sql"),
    include_str!("../../sql/functions/bytes.sql"),
    include_str!("../../sql/functions/totals.sql"),
    include_str!("../../sql/functions/preview.sql"),
    include_str!("../../sql/functions/explain.sql"),
    include_str!("../../sql/functions/move_keys.sql"),
    include_str!("../../sql/functions/make_partitions.sql"),
    include_str!("../../sql/functions/step.sql"),
    include_str!("../../sql/functions/whole_partitions.sql"),
    include_str!("../../sql/functions/prepare_partition.sql"),
    include_str!("../../sql/functions/take_partition.sql"),
    include_str!("../../sql/functions/restore_step.sql"),
    include_str!("../../sql/functions/log_table.sql"),
    include_str!("../../sql/functions/log_operation.sql"),
    include_str!("../../sql/functions/run_order.sql"),
    include_str!("../../sql/functions/definition_of.sql"),
    include_str!("../../sql/functions/sizes.sql"),
    include_str!("../../sql/functions/statistics.sql"),
    include_str!("../../sql/functions/unique_indexes.sql"),
    include_str!("../../sql/functions/log_migration.sql"),
    include_str!("../../sql/functions/migrate_source.sql"),
    include_str!("../../sql/functions/migrate_key.sql"),
    include_str!("../../sql/functions/migrate_privileges.sql"),
    include_str!("../../sql/functions/migrate_check.sql"),
    include_str!("../../sql/functions/migrate_columns.sql"),
    include_str!("../../sql/functions/migrate_read_sql.sql"),
    include_str!("../../sql/functions/migrate_clash.sql"),
    include_str!("../../sql/functions/migrate_clashes.sql"),
    include_str!("../../sql/functions/migrate_refusals.sql"),
    include_str!("../../sql/functions/migrate_plan.sql"),
    include_str!("../../sql/functions/migrate_close.sql"),
    include_str!("../../sql/functions/migrate_open.sql"),
    include_str!("../../sql/functions/migrate_reason.sql"),
    include_str!("../../sql/functions/migrate_range.sql"),
    include_str!("../../sql/functions/migrate_quarantine.sql"),
    include_str!("../../sql/functions/migrate_batch.sql"),
    include_str!("../../sql/functions/sum_batches.sql"),
    include_str!("../../sql/functions/migrate_forget.sql"),
    include_str!("../../sql/functions/migrate.sql"),
];

/// The collector's functions in the schema `public`, after what they have in common: the one place outside of files
/// that ops own that knows them.
const CONTRACT: &[&str] = &[
    include_str!("../../sql/contract/run_exceptions.sql"),
    include_str!("../../sql/contract/archive_old_exceptions.sql"),
    include_str!("../../sql/contract/cleanup_old_exceptions.sql"),
    include_str!("../../sql/contract/cleanup_resolved_exceptions.sql"),
    include_str!("../../sql/contract/get_archive_statistics.sql"),
    include_str!("../../sql/contract/get_cleanup_statistics.sql"),
    include_str!("../../sql/contract/migrate_legacy_exceptions.sql"),
    include_str!("../../sql/contract/restore_archived_exceptions.sql"),
    include_str!("../../sql/contract/validate_migrated_data.sql"),
];

/// The data set that the collector's functions work on.
pub(super) const COLLECTOR: &str = "interface_exceptions";
/// Its definition as shipped, for a target that is prepared without any configuration.
pub(super) const COLLECTOR_DEFINITION: &str = include_str!("../../jobs/datasets/interface_exceptions.toml");

/// The functions that work on any data set, as one script.
pub(super) fn engine() -> String {
    // A job reads a target's shape with the same text where nothing is installed.
    let shape = format!(
        "-- The tables of a data set, as one value.\ncreate or replace function sexton.shape(definition jsonb) \
         returns jsonb\nlanguage plpgsql stable as $function$\nbegin\n    return (\n{}\n    );\nend\n$function$;\n",
        include_str!("../../sql/target/shape.sql").trim_end()
    );
    // What a job may ask that has no rights on our tables but those that it needs.
    let version = format!(
        "-- The version of what is installed here.\ncreate or replace function sexton.version() returns integer\n\
         language sql immutable\nbegin atomic\n    select {};\nend;\n",
        super::VERSION
    );
    [version.as_str(), shape.as_str()].into_iter().chain(ENGINE.iter().copied()).collect::<Vec<_>>().join("\n")
}

/// The collector's functions, as one script: what was there is dropped, and whoever could call it can again.
pub(super) fn contract() -> String {
    let before = include_str!("../../sql/install/contract_before.sql");
    let after = include_str!("../../sql/install/contract_after.sql");
    std::iter::once(before).chain(CONTRACT.iter().copied()).chain([after]).collect::<Vec<_>>().join("\n")
}

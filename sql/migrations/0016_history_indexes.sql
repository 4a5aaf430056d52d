-- Fewer index entries for each run that ends, and each where the one before it went.
-- Compatible: an older binary's statements read the same rows; with a long history this takes a while.

-- Nearly every run that ends has a report: with the state looked at in the row, the job's own index finds the same.
drop index sexton.history_report;
drop index sexton.history_job;
-- Upwards: what ends last comes last, beside what was written a moment ago.
create index history_job on sexton.history (job, finished_at);

-- What looks for one run of a job or of a schedule finds it without reading all the others.
-- Compatible: only indexes, which an older binary's statements do not name.

create index history_report on sexton.history (job, finished_at desc)
    where state in ('done', 'failed') and report <> '{}';
create index history_schedule on sexton.history (schedule, finished_at desc) where schedule is not null;

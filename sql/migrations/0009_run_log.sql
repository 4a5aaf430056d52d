-- What each attempt logged, beside the runs and never in their way: partitions by day, dropped when they are old.
-- Compatible: a new table that an older binary neither reads nor writes; the runs that it works on log nothing here.

create table sexton.run_log (
    run uuid not null,
    token bigint not null,
    line integer not null,
    attempt integer not null,
    at timestamptz not null,
    level text not null check (level in ('error', 'warn', 'info')),
    target text not null,
    message text not null,
    fields jsonb,
    primary key (run, token, line, at)
) partition by range (at);
comment on table sexton.run_log is 'What attempts logged, at most so many lines each; run_log_default takes what comes on a day that has no partition yet.';
comment on column sexton.run_log.token is 'Fencing token of the attempt: an attempt that had lost its run and wrote on can be told from the one after it.';
comment on column sexton.run_log.line is 'Counts within the attempt; numbers that are missing were left out.';
comment on column sexton.run_log.at is 'By the clock of the daemon that wrote it.';

create table sexton.run_log_default partition of sexton.run_log default;

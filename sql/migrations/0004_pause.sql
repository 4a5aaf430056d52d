-- A run can be paused, and how fast it goes is written beside how far it is.
-- Compatible: new columns that an older binary neither reads nor writes; it goes on with a run that is paused.

alter table sexton.run
    add column pause_requested_at timestamptz,
    add column pause_by text,
    add column pause_why text;
comment on column sexton.run.pause_requested_at is
    'Set while the run is paused: nobody claims it, and the worker that has it gives it back after its step.';

alter table sexton.progress add column rate double precision;
comment on column sexton.progress.rate is 'Units a second, seen over the last half minute.';

-- What a target needs for work in steps: one row for each run, which every step of it updates as it commits.

create table sexton.step (
    run uuid primary key,
    token bigint not null,
    cursor jsonb not null,
    counts jsonb not null default '{}',
    started_at timestamptz not null default clock_timestamp(),
    at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);
comment on table sexton.step is
    'How far each run of Sexton is in this database. A step commits only by updating its row with its own token, so that an attempt that lost its lease changes nothing.';
revoke all on sexton.step from public;

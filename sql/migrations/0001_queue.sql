-- The queue: live runs, how far they are, who works, and what became of them.
-- Compatible: first migration, there is no older binary.

create type sexton.live_state as enum ('waiting', 'ready', 'running', 'retrying', 'held');
create type sexton.final_state as enum ('done', 'skipped', 'failed', 'cancelled');

create table sexton.worker (
    id uuid primary key,
    host text not null,
    pid integer not null,
    version text not null,
    process text,
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
) with (fillfactor = 50);
comment on table sexton.worker is
    'One row per process start. seen_at is the heartbeat of every run that the process holds: a run is lost when seen_at plus its own lease has passed.';
comment on column sexton.worker.process is
    'Machine boot, pid namespace, pid and start of the process: who shares the first two can tell for sure that it is dead.';

create table sexton.run (
    id uuid primary key,
    job text not null check (length(job) between 1 and 200),
    kind text not null,
    state sexton.live_state not null,
    due_at timestamptz not null,
    rank timestamptz not null,
    priority smallint not null default 0 check (priority between -100 and 100),
    spec jsonb not null,
    lease interval not null check (lease >= interval '1 second'),
    most_attempts integer not null check (most_attempts >= 1),
    on_lost text not null check (on_lost in ('retry', 'hold')),
    schedule text,
    nominal_at timestamptz,
    caught_up boolean not null default false,
    parent uuid,
    chain uuid not null,
    requested_by text not null,
    created_at timestamptz not null default now(),
    spent integer not null default 0 check (spent >= 0),
    losses integer not null default 0 check (losses >= 0),
    token bigint,
    worker uuid,
    started_at timestamptz,
    attempts jsonb not null default '[]',
    cancel_requested_at timestamptz,
    cancel_by text,
    cancel_why text,
    constraint running_has_a_holder check ((state = 'running') = (worker is not null)),
    constraint running_has_a_token check (state <> 'running' or token is not null),
    constraint a_slot_names_its_schedule check (nominal_at is null or schedule is not null)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0);
comment on column sexton.run.spec is
    'The job as it was when the run became due. What claiming and rescue need is in columns, so that a snapshot that nobody can read harms nobody but its own run.';
comment on column sexton.run.rank is 'Order of claiming: due_at moved earlier by one minute for each point of priority, so that waiting ages a run.';
comment on column sexton.run.token is 'Fencing token of the newest attempt: greatest(previous + 1, epoch microseconds). Every write of an attempt carries it. Whoever takes a run from its holder raises it, so a run that is not running and has an attempt''s token was settled by that attempt.';
comment on column sexton.run.spent is 'Attempts spent; one that shutdown interrupted is given back.';
comment on column sexton.run.attempts is 'What became of each earlier attempt, oldest first.';

create index run_claim on sexton.run (rank) where state = 'ready';
create index run_due on sexton.run (due_at) where state in ('waiting', 'retrying');
create index run_holder on sexton.run (worker) where state = 'running';
create index run_job on sexton.run (job);
create unique index run_slot on sexton.run (schedule, nominal_at) where nominal_at is not null and parent is null;

create table sexton.progress (
    run uuid primary key,
    token bigint not null,
    done bigint not null,
    total bigint,
    unit text not null,
    note text,
    at timestamptz not null default now()
) with (fillfactor = 50);

create table sexton.history (
    id uuid primary key,
    job text not null,
    kind text not null,
    state sexton.final_state not null,
    due_at timestamptz not null,
    priority smallint not null,
    spec jsonb not null,
    lease interval not null,
    most_attempts integer not null,
    on_lost text not null,
    schedule text,
    nominal_at timestamptz,
    caught_up boolean not null,
    parent uuid,
    chain uuid not null,
    requested_by text not null,
    created_at timestamptz not null,
    spent integer not null,
    losses integer not null,
    token bigint,
    worker uuid,
    started_at timestamptz,
    finished_at timestamptz not null,
    attempts jsonb not null,
    report jsonb not null default '{}',
    why text,
    help text,
    cancel_by text
);
create index history_job on sexton.history (job, finished_at desc);
create index history_finished on sexton.history (finished_at desc);
create index history_chain on sexton.history (chain);

create view sexton.runs as
select id, job, kind, state::text as state, due_at, priority, spec, most_attempts, schedule, nominal_at, caught_up, parent, chain,
       requested_by, created_at, spent, losses, token, worker, started_at, null::timestamptz as finished_at,
       attempts, '{}'::jsonb as report, null::text as why, null::text as help,
       cancel_requested_at, cancel_by, cancel_why
from sexton.run
union all
select id, job, kind, state::text, due_at, priority, spec, most_attempts, schedule, nominal_at, caught_up, parent, chain,
       requested_by, created_at, spent, losses, token, worker, started_at, finished_at,
       attempts, report, why, help, null::timestamptz, cancel_by, null::text
from sexton.history;
comment on view sexton.runs is 'Every run, live or final.';

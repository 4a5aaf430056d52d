-- A run can wait for others of its job, a cancel can spare no grace, and each daemon says which files it has.
-- Compatible: new columns and a table that an older binary neither reads nor writes; it never starts what waits for others.

alter table sexton.run
    add column behind boolean not null default false,
    add column cancel_at_once boolean not null default false,
    add constraint who_is_behind_waits check (not behind or state = 'waiting');
comment on column sexton.run.behind is
    'It waits until it is due and no other run of its job is live; of several that do, the one that is due first goes first.';
comment on column sexton.run.cancel_at_once is 'The cancel that was asked for spares no time to stop in peace.';

alter table sexton.run add column first_due_at timestamptz;
update sexton.run set first_due_at = due_at;
alter table sexton.run
    alter column first_due_at set default now(),
    alter column first_due_at set not null;
comment on column sexton.run.first_due_at is
    'When it should have started: how late it is counts from here. Retries and catching up move due_at, never this.';
alter table sexton.history add column first_due_at timestamptz;

create index run_behind on sexton.run (job, due_at) where behind;
create index run_chain on sexton.run (chain) where parent is not null;

alter type sexton.event_kind add value if not exists 'paused';

create table sexton.daemon_files (
    daemon uuid primary key,
    host text not null,
    pid integer not null,
    folder text not null,
    digest text not null,
    state text not null check (state in ('current', 'drifted', 'broken')),
    why text,
    at timestamptz not null default now(),
    seen_at timestamptz not null default now()
) with (fillfactor = 50);
comment on table sexton.daemon_files is 'Which files each daemon has on disk: current, of another revision, or broken.';

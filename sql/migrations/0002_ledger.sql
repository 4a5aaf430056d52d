-- The ledger: revisions of the files, schedules with their watermark, and one decision for every slot.
-- Compatible: new tables only.

create type sexton.decision as enum (
    'fired', 'coalesced', 'skipped_overlap', 'skipped_window', 'deferred', 'skipped_paused', 'missed_expired');

create table sexton.revision (
    id bigint generated always as identity primary key,
    digest text not null,
    files jsonb not null,
    applied_at timestamptz not null default now(),
    applied_by text not null
);
comment on table sexton.revision is 'Every set of files that was ever active, whole: files maps a path to its text. The newest row is the active one.';
create index revision_digest on sexton.revision (digest);

create table sexton.schedule (
    name text primary key,
    job text not null,
    watermark timestamptz not null,
    revision bigint not null references sexton.revision (id),
    enabled boolean not null,
    removed_at timestamptz
) with (fillfactor = 50);
comment on column sexton.schedule.watermark is 'Every slot at or before this instant has its decision.';
comment on column sexton.schedule.revision is 'The revision whose words decide its slots; a planner that knows another one decides nothing.';

create table sexton.slot (
    schedule text not null,
    nominal_at timestamptz not null,
    until timestamptz not null,
    slots bigint not null check (slots > 0),
    decision sexton.decision not null,
    reason text not null,
    lateness interval not null,
    revision bigint not null,
    decided_by uuid not null,
    decided_at timestamptz not null default now(),
    run uuid,
    primary key (schedule, nominal_at),
    constraint a_range_does_not_run_backwards check (until >= nominal_at and (slots = 1) = (until = nominal_at)),
    constraint one_slot_fires_alone check (decision <> 'fired' or (slots = 1 and run is not null))
);
comment on table sexton.slot is 'One row for each decision; consecutive coalesced, expired or skipped slots share a range row.';
comment on column sexton.slot.lateness is 'How late the decision was; of a range, for its newest slot.';
create index slot_decided on sexton.slot (decided_at desc);

-- The outbox: settled facts, how each job fares, and what people are told.
-- Compatible: new tables only.

create type sexton.event_kind as enum (
    'failed', 'recovered', 'breached', 'breach_cleared', 'cancelled', 'held', 'lost', 'missed',
    'files_broken', 'files_drifted', 'files_mended', 'channel_failed');

create table sexton.health (
    subject text primary key,
    failures bigint not null default 0,
    failing_since timestamptz,
    breaches bigint not null default 0,
    breached_since timestamptz,
    incident uuid,
    last_success_at timestamptz,
    last_success_run uuid,
    last_end_at timestamptz
) with (fillfactor = 50);
comment on table sexton.health is 'How each job (or the files, as :files) fares; written in the transaction that settles its runs.';
comment on column sexton.health.incident is 'The first event of the trouble that lasts; later events of the same trouble and its recovery carry it.';

create table sexton.event (
    id uuid primary key,
    kind sexton.event_kind not null,
    subject text not null,
    run uuid,
    incident uuid not null,
    repeat bigint not null default 1,
    channels text[] not null,
    detail jsonb not null,
    at timestamptz not null,
    decided_at timestamptz,
    verdict text
);
comment on column sexton.event.repeat is 'The how-manieth of its kind in a row: 1 is news.';
create index event_undecided on sexton.event (id) where decided_at is null;
create index event_at on sexton.event (at desc);
create index event_incident on sexton.event (incident);

create type sexton.delivery_state as enum ('pending', 'delivered', 'dead');

create table sexton.delivery (
    id uuid primary key,
    event uuid not null references sexton.event (id),
    channel text not null,
    message jsonb not null,
    state sexton.delivery_state not null default 'pending',
    tries integer not null default 0,
    next_at timestamptz not null default now(),
    last_error text,
    created_at timestamptz not null default now(),
    settled_at timestamptz,
    unique (event, channel),
    constraint settled_has_a_time check ((state = 'pending') = (settled_at is null))
);
create index delivery_pending on sexton.delivery (next_at) where state = 'pending';

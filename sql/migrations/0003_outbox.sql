-- The outbox: settled facts, how each job fares, and what people are told.
-- Compatible: new tables only.

create type sexton.event_kind as enum (
    'failed', 'recovered', 'breached', 'breach_cleared', 'cancelled', 'held', 'lost', 'missed', 'files_broken', 'files_drifted', 'files_mended');

create table sexton.health (
    job text primary key,
    failures bigint not null default 0,
    failing_since timestamptz,
    breaches bigint not null default 0,
    breached_since timestamptz,
    last_success_at timestamptz,
    last_success_run uuid,
    last_end_at timestamptz not null
) with (fillfactor = 50);
comment on table sexton.health is 'How each job fares; written in the transaction that settles its runs.';

create table sexton.event (
    id uuid primary key,
    kind sexton.event_kind not null,
    subject text not null,
    run uuid,
    channels text[] not null,
    detail jsonb not null,
    repeat bigint not null default 1,
    at timestamptz not null default now(),
    decided_at timestamptz,
    verdict text
);
comment on column sexton.event.subject is 'The job (or files, schedule) that the fact is about; alerts latch per subject.';
comment on column sexton.event.repeat is 'The how-manieth in a row: 1 is news.';
create index event_undecided on sexton.event (at) where decided_at is null;
create index event_at on sexton.event (at desc);

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
    unique (event, channel)
);
create index delivery_pending on sexton.delivery (next_at) where state = 'pending';

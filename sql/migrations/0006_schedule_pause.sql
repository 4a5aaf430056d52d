-- Schedules can be paused, one or all, with a reason; and the queue says whose it is.
-- Compatible: new tables that an older binary neither reads nor writes; it goes on firing what is paused.

create table sexton.schedule_pause (
    id bigint generated always as identity primary key,
    schedule text,
    reason text not null check (reason <> ''),
    author text not null,
    made_at timestamptz not null default now(),
    until timestamptz,
    ended_at timestamptz,
    ended_by text,
    constraint it_ends_after_it_began check (until is null or until > made_at)
);
comment on table sexton.schedule_pause is 'While one is open, its schedule (or every one, where it names none) fires nothing.';
create index schedule_pause_open on sexton.schedule_pause (schedule) where ended_at is null;

create table sexton.installation (
    one boolean primary key default true check (one),
    instance text not null check (instance <> ''),
    said_at timestamptz not null default now(),
    said_by text not null
);
comment on table sexton.installation is 'Whose queue this is: daemons whose settings name another instance neither plan nor work here.';

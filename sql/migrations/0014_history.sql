-- The history by what became of the runs and by days, so that what is old is dropped with its files instead of deleted.
-- Compatible: an older binary's statements find and write the same rows; with a long history this copies it and takes a while.

drop view sexton.runs;
alter table sexton.history rename to history_before;

create table sexton.history (like sexton.history_before including defaults including comments) partition by list (state);
comment on table sexton.history is
    'What became of every run: by outcome, then by days (open_history). A default partition takes what comes on days that have no partition yet, and keeps what stays of days that were dropped.';
create table sexton.history_done partition of sexton.history
    for values in ('done', 'skipped') partition by range (finished_at);
create table sexton.history_failed partition of sexton.history
    for values in ('failed', 'cancelled') partition by range (finished_at);
create table sexton.history_done_default partition of sexton.history_done default;
create table sexton.history_failed_default partition of sexton.history_failed default;

-- Whose ids begin with a time: the first that can have been made at that time.
create function sexton.first_id(at timestamptz) returns uuid language sql immutable set search_path = pg_catalog, pg_temp as $$
    select encode(substring(int8send((extract(epoch from at) * 1000)::bigint) from 3) || '\x70008000000000000000'::bytea, 'hex')::uuid
$$;

-- Days of one part of the history get a partition, and what came of them before. It is made beside the table and attached: that
-- locks out nobody who writes into other partitions.
create function sexton.open_history(part text, starts timestamptz, ends timestamptz) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    name constant text := part || to_char(starts at time zone 'UTC', '_YYYYMMDD');
begin
    execute format('create table sexton.%I (like sexton.%I including all)', name, part);
    execute format('lock table sexton.%I in access exclusive mode', part || '_default');
    execute format(
        'with early as (delete from sexton.%I where finished_at >= $1 and finished_at < $2 returning *) insert into sexton.%I select * from early',
        part || '_default', name) using starts, ends;
    execute format('alter table sexton.%I attach partition sexton.%I for values from (%L) to (%L)', part, name, starts, ends);
    return name;
end
$$;

-- A partition of one part of the history goes, but for these runs: they stay in the default partition.
create function sexton.close_history(part text, name text, kept uuid[]) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    moved bigint;
begin
    execute format('alter table sexton.%I detach partition sexton.%I', part, name);
    execute format('insert into sexton.%I select * from sexton.%I where id = any ($1)', part, name) using kept;
    get diagnostics moved = row_count;
    execute format('drop table sexton.%I', name);
    return moved;
end
$$;
revoke execute on function sexton.first_id, sexton.open_history, sexton.close_history from public;

-- What there is of the time that is kept by default, and today; the rest lies in the default partitions and goes row by row.
do $$
declare
    today constant timestamptz := date_trunc('day', now() at time zone 'UTC') at time zone 'UTC';
    one record;
begin
    for one in
        select part, today - nth * days * interval '1 day' as starts, today - (nth - 1) * days * interval '1 day' as ends, states, nth
        from (values ('history_done', 3, array['done', 'skipped']), ('history_failed', 12, array['failed', 'cancelled'])) as parts (part, days, states),
             generate_series(0, 31) as nth
        order by part, nth
    loop
        if one.nth = 0 or exists (
            select from sexton.history_before
            where finished_at >= one.starts and finished_at < one.ends and state = any (one.states::sexton.final_state[])) then
            perform sexton.open_history(one.part, one.starts, one.ends);
        end if;
    end loop;
end
$$;
insert into sexton.history select * from sexton.history_before;
drop table sexton.history_before;

-- The key has to hold what the partitions are made by; that an id is there once is sure, since it leaves sexton.run for it.
alter table sexton.history add primary key (id, state, finished_at);
create index history_job on sexton.history (job, finished_at desc);
create index history_chain on sexton.history (chain) where parent is not null;
create index history_report on sexton.history (job, finished_at desc) where state in ('done', 'failed') and report <> '{}';
create index history_schedule on sexton.history (schedule, finished_at desc) where schedule is not null;
-- What is in no day's partition is looked through in this order.
create index history_done_default_finished on sexton.history_done_default (finished_at, id);
create index history_failed_default_finished on sexton.history_failed_default (finished_at, id);

-- The snapshot is joined to both at once: so the newest runs are read from the two primary keys.
create view sexton.runs as
select one.id, job, kind, state, due_at, priority, coalesce(spec.body, '{}') || coalesce(own, '{}') as spec, most_attempts, schedule,
       nominal_at, caught_up, parent, chain, requested_by, created_at, spent, losses, token, worker, started_at, finished_at,
       attempts, report, why, help, cancel_requested_at, cancel_by, cancel_why
from (
    select id, job, kind, state::text as state, due_at, priority, spec, own, most_attempts, schedule, nominal_at, caught_up, parent,
           chain, requested_by, created_at, spent, losses, token, worker, started_at, null::timestamptz as finished_at,
           attempts, '{}'::jsonb as report, null::text as why, null::text as help,
           cancel_requested_at, cancel_by, cancel_why
    from sexton.run
    union all
    select id, job, kind, state::text, due_at, priority, spec, own, most_attempts, schedule, nominal_at, caught_up, parent,
           chain, requested_by, created_at, spent, losses, token, worker, started_at, finished_at,
           attempts, report, why, help, null::timestamptz, cancel_by, null::text
    from sexton.history
) as one
left join sexton.spec on spec.id = one.spec;
comment on view sexton.runs is 'Every run, live or final.';

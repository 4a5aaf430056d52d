-- The snapshot once: runs name what they share of it and carry only what is their own.
-- Not compatible: older daemons cannot claim any more. Stop them first; with a long history this rewrites it and takes a while.

create table sexton.spec (
    id uuid primary key,
    body jsonb not null,
    lane integer not null default 0,
    seen_at timestamptz not null default now()
);
comment on table sexton.spec is
    'What runs share of the snapshots of their jobs. Rows never change but for seen_at, which is at most a day old while runs are enqueued.';
comment on column sexton.spec.id is 'The first half of the SHA-256 of the body.';
comment on column sexton.spec.lane is 'What its runs need and are limited by.';

create function sexton.spec_id(body jsonb) returns uuid language sql immutable set search_path = pg_catalog, pg_temp as $$
    select encode(substring(sha256(convert_to(body::text, 'UTF8')) for 16), 'hex')::uuid
$$;

-- Nobody forgets what was seen within a day.
create function sexton.keep_spec(given jsonb, out id uuid, out lane integer) language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
    id := sexton.spec_id(given);
    select kept.lane into lane from sexton.spec as kept where kept.id = keep_spec.id and kept.seen_at > now() - interval '1 day';
    if found then
        return;
    end if;
    lane := case when given ? 'needs' or given ? 'limits' then sexton.lane_of(given) else 0 end;
    insert into sexton.spec as kept (id, body, lane) values (keep_spec.id, given, keep_spec.lane)
    on conflict on constraint spec_pkey do update set seen_at = now(), lane = excluded.lane;
end
$$;

drop view sexton.runs;
drop trigger run_lane on sexton.run;
drop function sexton.set_lane();

insert into sexton.spec (id, body, lane)
select distinct on (sexton.spec_id(spec)) sexton.spec_id(spec), spec,
       case when spec ? 'needs' or spec ? 'limits' then sexton.lane_of(spec) else 0 end
from (select distinct spec from (select spec from sexton.run union all select spec from sexton.history) as all_of_them) as different;

alter table sexton.run
    add column own jsonb,
    add column leads boolean not null default false;
update sexton.run set leads = true where spec ? 'then';
alter table sexton.run alter column spec type uuid using sexton.spec_id(spec);
alter table sexton.history alter column spec type uuid using sexton.spec_id(spec);
alter table sexton.history add column own jsonb;
comment on column sexton.run.spec is
    'The job as it was when the run became due: this, with the keys of `own` in place of its own. What claiming and rescue need is in columns, so that a snapshot that nobody can read harms nobody but its own run.';
comment on column sexton.run.own is 'Of a run with parameters: the keys of its snapshot that hang on them.';
comment on column sexton.run.leads is 'Others may come after it in its chain.';
comment on column sexton.run.lane is 'What it needs and is limited by, as its snapshot says.';

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

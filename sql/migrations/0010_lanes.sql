-- Lanes: runs that need the same of a daemon and are limited by the same.
-- Compatible: an older binary's inserts get their lanes by the trigger, but it claims without looking at them, so limits and
-- needs hold once the last one is gone.

create table sexton.lane (
    id integer generated always as identity primary key,
    digest text not null unique,
    needs jsonb not null,
    gates jsonb not null,
    seen_at timestamptz not null default now()
);
comment on table sexton.lane is
    'What runs need of a daemon, and what limits them. Rows never change but for seen_at, and are forgotten once no run was enqueued for long. Lane 0 needs nothing and is limited by nothing.';
insert into sexton.lane (id, digest, needs, gates) overriding system value values (0, '', '[]', '[]');

create table sexton.gate_rate (
    name text primary key,
    whole_at timestamptz not null
) with (fillfactor = 50);
comment on table sexton.gate_rate is 'By gate: when its rate is whole again. A row whose time is over says nothing.';

alter table sexton.run add column if not exists lane integer not null default 0;
comment on column sexton.run.lane is 'What it needs and is limited by; set by a trigger from the snapshot.';
alter table sexton.worker add column has text[] not null default '{}';
comment on column sexton.worker.has is 'Targets, vaults and labels; it takes only lanes whose needs it has all of.';

-- Runs of a snapshot without limits keep lane 0.
create function sexton.lane_of(spec jsonb) returns integer language plpgsql as $$
declare
    wanted text := md5(jsonb_build_array(coalesce(spec -> 'needs', '[]'), coalesce(spec -> 'limits', '[]'))::text);
    found_id integer;
    last_seen timestamptz;
begin
    select id, seen_at into found_id, last_seen from sexton.lane where digest = wanted;
    if found and last_seen > now() - interval '1 day' then
        return found_id;
    end if;
    insert into sexton.lane (digest, needs, gates)
    values (wanted, coalesce(spec -> 'needs', '[]'), coalesce(spec -> 'limits', '[]'))
    on conflict (digest) do update set seen_at = now()
    returning id into found_id;
    return found_id;
end
$$;

create function sexton.set_lane() returns trigger language plpgsql as $$
begin
    new.lane := sexton.lane_of(new.spec);
    return new;
end
$$;
create trigger run_lane before insert on sexton.run
    for each row when (new.spec ? 'needs' or new.spec ? 'limits') execute function sexton.set_lane();

create index if not exists run_lane on sexton.run (lane, rank) where state = 'ready';
drop index sexton.run_claim;

-- Enqueue runs: one row for each element of the arrays but the last, ready if due and behind no other, else waiting; the
-- last has the snapshots that they share, which each names by its place.
with kept as materialized (
    select place, shared.id, shared.lane
    from unnest($20::jsonb[]) with ordinality as input (body, place)
    cross join lateral sexton.keep_spec(body) as shared
)
insert into sexton.run (
    id, job, kind, state, due_at, rank, priority, spec, own, leads, lane, lease, most_attempts, on_lost,
    schedule, nominal_at, caught_up, parent, chain, requested_by, behind, first_due_at)
select given.id, given.job, given.kind,
       case when given.due_at <= now() and not given.behind then 'ready' else 'waiting' end::sexton.live_state,
       given.due_at, given.due_at - given.priority * interval '1 minute', given.priority, kept.id, given.own, given.leads, kept.lane,
       make_interval(secs => given.lease), given.most_attempts, given.on_lost,
       given.schedule, given.nominal_at, given.caught_up, given.parent, given.chain, given.requested_by,
       given.behind, coalesce(given.first_due_at, given.due_at)
from (
    select id, job, kind, coalesce(due_at, now()) as due_at, priority, spec, own, leads, lease, most_attempts, on_lost,
           schedule, nominal_at, caught_up, parent, chain, requested_by, behind, first_due_at
    from unnest(
        $1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::smallint[], $6::bigint[], $7::float8[],
        $8::integer[], $9::text[], $10::text[], $11::timestamptz[], $12::boolean[], $13::uuid[], $14::uuid[],
        $15::text[], $16::boolean[], $17::timestamptz[], $18::jsonb[], $19::boolean[])
        as input (id, job, kind, due_at, priority, spec, lease, most_attempts, on_lost,
                  schedule, nominal_at, caught_up, parent, chain, requested_by, behind, first_due_at, own, leads)
) as given
join kept on kept.place = given.spec

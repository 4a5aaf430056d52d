-- Claim those of the runs $2 that are still ready and not paused for worker $1, in no order; their snapshots but for $3, which it knows.
with picked as materialized (
    select id
    from sexton.run
    where id = any ($2)
      and state = 'ready'
      and pause_requested_at is null
    for update skip locked
), claimed as (
    update sexton.run
    set state = 'running',
        worker = $1,
        started_at = clock_timestamp(),
        spent = spent + 1,
        token = greatest(coalesce(token, 0) + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
    where id = any (array(select id from picked))
    returning id, token, job, kind, spec, own, spent as attempt, most_attempts, lease,
              schedule, nominal_at, caught_up, parent, chain, requested_by, due_at, first_due_at, started_at, rank, lane
)
select claimed.id, token, claimed.job, kind, claimed.spec, spec.body, own, attempt, most_attempts, extract(epoch from lease)::float8 as lease,
       schedule, nominal_at, caught_up, parent, chain, requested_by, due_at, first_due_at, started_at, claimed.lane, rank,
       health.last_success_at as previous_success_at
from claimed
left join sexton.health on health.subject = claimed.job
left join sexton.spec on spec.id = claimed.spec and spec.id <> all ($3)

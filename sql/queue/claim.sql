-- Claim up to $2 ready runs that need nothing, that nothing limits and that are not paused for worker $1, those of the lowest
-- rank from $4 on; their snapshots but for $3, which it knows. In no order: each is read while the next one is claimed.
with picked as materialized (
    select id
    from sexton.run
    where state = 'ready'
      and lane = 0
      and claim_rank >= coalesce($4::timestamptz, '-infinity')
    order by claim_rank
    limit $2
    for update skip locked
), claimed as (
    update sexton.run
    set state = 'running',
        worker = $1,
        started_at = clock_timestamp(),
        spent = spent + 1,
        token = greatest(coalesce(token, 0) + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
    -- An array, not a join: however many are ready, only these are looked up.
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

-- Claim up to $2 ready runs that need nothing, that nothing limits and that are not paused for worker $1, those of the lowest
-- rank from $3 on. In no order: each is read while the next one is claimed.
with picked as materialized (
    select ctid
    from sexton.run
    where state = 'ready'
      and lane = 0
      and claim_rank >= $3
    order by claim_rank
    limit $2
    for update skip locked
)
update sexton.run
set state = 'running',
    worker = $1,
    started_at = clock_timestamp(),
    spent = spent + 1,
    token = greatest(coalesce(token, 0) + 1, (select (extract(epoch from clock_timestamp()) * 1000000)::bigint))
-- An array, not a join: however many are ready, only these are fetched. Each is locked, so that it stays where it is; one that
-- somebody changed just before that is somewhere else, and left for the next claim.
where ctid = any (array(select ctid from picked))
returning id, token, job, kind, spec, own, spent, most_attempts, lease, schedule, nominal_at, caught_up, parent, chain,
          requested_by, due_at, first_due_at, started_at, rank, lane

-- Claim those of the runs $2 that are still ready and not paused for worker $1, in no order.
with picked as materialized (
    select id
    from sexton.run
    where id = any ($2)
      and state = 'ready'
      and pause_requested_at is null
    for update skip locked
)
update sexton.run
set state = 'running',
    worker = $1,
    started_at = clock_timestamp(),
    spent = spent + 1,
    token = greatest(coalesce(token, 0) + 1, (select (extract(epoch from clock_timestamp()) * 1000000)::bigint))
where id = any (array(select id from picked))
returning id, token, job, kind, spec, own, spent, most_attempts, lease, schedule, nominal_at, caught_up, parent, chain,
          requested_by, due_at, first_due_at, started_at, rank, lane

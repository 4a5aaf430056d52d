-- Take run $1, just enqueued in this transaction, for worker $2, whatever else is ready.
update sexton.run
set state = 'running',
    behind = false,
    worker = $2,
    started_at = clock_timestamp(),
    spent = spent + 1,
    token = greatest(coalesce(token, 0) + 1, (select (extract(epoch from clock_timestamp()) * 1000000)::bigint))
where id = $1
returning id, token, job, kind, spec, own, spent, most_attempts, lease, schedule, nominal_at, caught_up, parent, chain,
          requested_by, due_at, first_due_at, started_at, rank, lane

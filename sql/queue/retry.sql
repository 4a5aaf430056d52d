-- Retry run $1 for $2: a failed, cancelled or held run is ready again with all its attempts; one that backs off is due now.
-- Of the history, it looks at what ended since $3.
with dead as (
    delete from sexton.history
    where id = $1
      and state in ('failed', 'cancelled')
      and finished_at >= $3
    returning *
), revived as (
    insert into sexton.run (
        id, job, kind, state, due_at, first_due_at, rank, priority, spec, own, lane, leads, lease, most_attempts, on_lost, schedule,
        nominal_at, caught_up, parent, chain, requested_by, created_at, token, attempts)
    select dead.id, job, kind, 'ready', now(), coalesce(first_due_at, due_at), now() - priority * interval '1 minute',
           priority, spec, own, coalesce(spec.lane, 0), coalesce(spec.body || coalesce(own, '{}') ? 'then', false), lease, most_attempts,
           on_lost, schedule, nominal_at, caught_up, parent, chain, requested_by, created_at, token,
           attempts || jsonb_build_object(
               'attempt', spent, 'token', token, 'worker', worker, 'started_at', started_at, 'ended_at', finished_at,
               'outcome', state, 'why', why, 'help', help, 'cancel_by', cancel_by, 'report', report,
               'retried_by', $2::text, 'retried_at', clock_timestamp())
    from dead
    left join sexton.spec on spec.id = dead.spec
), let_go as (
    update sexton.run
    set state = 'ready',
        due_at = now(),
        rank = now() - priority * interval '1 minute',
        spent = case when state = 'held' then 0 else spent end,
        attempts = attempts || jsonb_build_object('retried_by', $2::text, 'retried_at', clock_timestamp())
    where id = $1
      and state in ('held', 'retrying')
    returning id
)
select case
           when exists (select from dead) or exists (select from let_go) then 'ready'
           else coalesce(
               (select state::text from sexton.run where id = $1),
               (select state::text from sexton.history where id = $1 and finished_at >= $3))
       end as verdict,
       exists (select from dead) or exists (select from let_go) as retried

-- Cancel run $1 for $2 because of $3: what does not run ends now, what runs is asked to end.
-- Of the history, it looks at what ended since $4.
with wanted as materialized (
    select id, state
    from sexton.run
    where id = $1
    for update
), gone as (
    delete from sexton.run
    using wanted
    where run.id = wanted.id
      and wanted.state <> 'running'
    returning run.*
), kept as (
    insert into sexton.history (
        id, job, kind, state, due_at, first_due_at, priority, spec, own, lease, most_attempts, on_lost, schedule, nominal_at,
        caught_up, parent, chain, requested_by, created_at, spent, losses, token, worker, started_at, finished_at,
        attempts, why, cancel_by)
    select id, job, kind, 'cancelled', due_at, first_due_at, priority, spec, own, lease, most_attempts, on_lost, schedule,
           nominal_at, caught_up, parent, chain, requested_by, created_at, spent, losses, token + 1, worker, started_at,
           clock_timestamp(), attempts, $3, $2
    from gone
), forgotten as (
    delete from sexton.progress
    using wanted
    where progress.run = wanted.id
      and wanted.state <> 'running'
), asked as (
    update sexton.run
    set cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),
        cancel_by = coalesce(cancel_by, $2),
        cancel_why = coalesce(cancel_why, $3)
    from wanted
    where run.id = wanted.id
      and wanted.state = 'running'
)
select case
           when exists (select from wanted where state <> 'running') then 'ended'
           when exists (select from wanted) then 'asked'
           else (select state::text from sexton.history where id = $1 and finished_at >= $4)
       end as verdict,
       -- Only of what others come after.
       (select chain from gone where leads) as chain

-- Replace what schedule $1 itself has waiting behind others, not what a person asked for: it moves to the history as skipped, because of $2; gives what others come after.
with gone as (
    delete from sexton.run
    where schedule = $1
      and nominal_at is not null
      and parent is null
      and behind
      and requested_by = 'schedule ' || $1
    returning *
), kept as (
    insert into sexton.history (
        id, job, kind, state, due_at, priority, spec, own, lease, most_attempts, on_lost, schedule, nominal_at, caught_up,
        parent, chain, requested_by, created_at, spent, losses, token, worker, started_at, finished_at, attempts, why)
    select id, job, kind, 'skipped', due_at, priority, spec, own, lease, most_attempts, on_lost, schedule, nominal_at, caught_up,
           parent, chain, requested_by, created_at, spent, losses, token, worker, started_at, clock_timestamp(), attempts, $2
    from gone
)
select id, chain
from gone
where leads

-- Runs say their outcome as the history is partitioned by it: who asks for the failed ones reads no others.
-- Compatible: one more column of a view.

create or replace view sexton.runs as
select one.id, job, kind, state, due_at, priority, coalesce(spec.body, '{}') || coalesce(own, '{}') as spec, most_attempts, schedule,
       nominal_at, caught_up, parent, chain, requested_by, created_at, spent, losses, token, worker, started_at, finished_at,
       attempts, report, why, help, cancel_requested_at, cancel_by, cancel_why, outcome
from (
    select id, job, kind, state::text as state, due_at, priority, spec, own, most_attempts, schedule, nominal_at, caught_up, parent,
           chain, requested_by, created_at, spent, losses, token, worker, started_at, null::timestamptz as finished_at,
           attempts, '{}'::jsonb as report, null::text as why, null::text as help,
           cancel_requested_at, cancel_by, cancel_why, null::sexton.final_state as outcome
    from sexton.run
    union all
    select id, job, kind, state::text, due_at, priority, spec, own, most_attempts, schedule, nominal_at, caught_up, parent,
           chain, requested_by, created_at, spent, losses, token, worker, started_at, finished_at,
           attempts, report, why, help, null::timestamptz, cancel_by, null::text, state
    from sexton.history
) as one
left join sexton.spec on spec.id = one.spec;

-- Settle attempts after which the run is over, whatever was asked of it meanwhile: it moves to the history. A stale token changes
-- nothing. This is how most end, and each column costs something.
with given as materialized (
    select *
    from unnest(
        -- Selected, so that the planner does not count them: the plan for as many as there are is quadratic.
        (select $1::uuid[]), (select $2::bigint[]), (select $3::text[]), (select $4::text[]), (select $5::text[]),
        (select $6::jsonb[])) as input (run, token, goes, why, help, report)
), ended as (
    delete from sexton.run
    using given
    where run.id = given.run
      and run.token = given.token
      and run.state = 'running'
    returning run.id, job, kind, due_at, first_due_at, priority, spec, own, lease, most_attempts, on_lost, schedule, nominal_at, caught_up,
              parent, run.chain, requested_by, created_at, spent, losses, run.token, worker, started_at, attempts, leads,
              given.goes, given.why, given.help, given.report
), kept as (
    insert into sexton.history (
        id, job, kind, state, due_at, first_due_at, priority, spec, own, lease, most_attempts, on_lost, schedule, nominal_at,
        caught_up, parent, chain, requested_by, created_at, spent, losses, token, worker, started_at, finished_at,
        attempts, report, why, help)
    select id, job, kind, goes::sexton.final_state, due_at, first_due_at, priority, spec, own, lease, most_attempts, on_lost,
           schedule, nominal_at, caught_up, parent, chain, requested_by, created_at, spent, losses, token, worker, started_at,
           clock_timestamp(), attempts, coalesce(report, '{}'), why, help
    from ended
), forgotten as (
    delete from sexton.progress
    where run in (select id from ended)
)
-- What is over as it was said to be needs no answer, unless others come after it.
select given.run, given.token,
       case when ended.id is not null then 'applied' else 'missed' end as verdict,
       given.goes, null::text as who, ended.chain
from given
left join ended on ended.id = given.run
where ended.id is null
   or ended.leads

-- Settle attempts after which the run may go on: put it back, or move it to the history after all. A stale token changes nothing.
with given as materialized (
    select *
    from unnest(
        -- Selected, so that the planner does not count them: the plan for as many as there are is quadratic.
        (select $1::uuid[]), (select $2::bigint[]), (select $3::text[]), (select $4::float8[]), (select $5::text[]),
        (select $6::text[]), (select $7::text[])) as input (run, token, goes, pause, why, help, who)
), mine as materialized (
    select run.id, given.pause, given.help, given.goes = 'lost' as lost,
           case when run.leads then run.chain end as chain,
           -- A cancel that came while the attempt ended by itself is kept, not lost in another attempt.
           case
               when asked then 'cancelled'
               when given.goes = 'lost' and run.on_lost = 'hold' then 'held'
               when given.goes = 'lost' and run.spent >= run.most_attempts then 'failed'
               else given.goes
           end as goes,
           case when asked then coalesce(run.cancel_why, given.why) else given.why end as why,
           case when asked then run.cancel_by else given.who end as who
    from given
    join sexton.run on run.id = given.run and run.token = given.token and run.state = 'running'
    cross join lateral (select run.cancel_requested_at is not null as asked) as cancel
    for update of run
), gone as (
    delete from sexton.run
    using mine
    where run.id = mine.id
      and mine.goes in ('failed', 'cancelled')
    returning run.id, job, kind, due_at, first_due_at, priority, spec, own, lease, most_attempts, on_lost, schedule, nominal_at, caught_up,
              parent, run.chain, requested_by, created_at, spent, losses, run.token, worker, started_at, attempts,
              mine.goes, mine.why, mine.help, mine.who, mine.lost
), kept as (
    insert into sexton.history (
        id, job, kind, state, due_at, first_due_at, priority, spec, own, lease, most_attempts, on_lost, schedule, nominal_at,
        caught_up, parent, chain, requested_by, created_at, spent, losses, token, worker, started_at, finished_at,
        attempts, why, help, cancel_by)
    select id, job, kind, goes::sexton.final_state, due_at, first_due_at, priority, spec, own, lease, most_attempts, on_lost,
           schedule, nominal_at, caught_up, parent, chain, requested_by, created_at, spent, losses + lost::integer,
           token, worker, started_at, clock_timestamp(), attempts, why, help,
           case when goes = 'cancelled' then who end
    from gone
), back as (
    update sexton.run
    set state = case mine.goes when 'retrying' then 'retrying' when 'snoozed' then 'waiting' when 'held' then 'held'
                else 'ready' end::sexton.live_state,
        worker = null,
        due_at = case when mine.goes in ('retrying', 'snoozed') then now() + make_interval(secs => mine.pause)
                 else due_at end,
        rank = case when mine.goes in ('retrying', 'snoozed')
               then now() + make_interval(secs => mine.pause) - priority * interval '1 minute' else rank end,
        spent = case when mine.goes in ('snoozed', 'given_back') then spent - 1 else spent end,
        losses = losses + mine.lost::integer,
        attempts = case when mine.goes = 'snoozed' then attempts
                   else attempts || jsonb_build_object(
                       'attempt', spent, 'token', token, 'worker', worker, 'started_at', started_at,
                       'ended_at', clock_timestamp(), 'outcome', mine.goes, 'why', mine.why, 'help', mine.help) end
    from mine
    where run.id = mine.id
      and mine.goes in ('retrying', 'snoozed', 'given_back', 'lost', 'held')
), forgotten as (
    delete from sexton.progress
    -- What is paused still shows how far it came.
    where run in (select id from mine where goes <> 'given_back')
)
select given.run, given.token,
       case when mine.id is not null then 'applied' else 'missed' end as verdict,
       coalesce(mine.goes, given.goes) as goes,
       mine.who,
       -- Only of what others come after.
       case when mine.goes in ('failed', 'cancelled') then mine.chain end as chain
from given
left join mine on mine.id = given.run

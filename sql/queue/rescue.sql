-- Rescue runs whose worker was silent longer than their lease; the rescuer itself has been in touch for $1 seconds. If $2, all
-- that runs is looked at; else only if a worker is silent that is not known to hold nothing.
with silent as materialized (
    select id
    from sexton.worker
    where seen_at + quiet < now()
      and (cleared_at is null or $2)
), lost as materialized (
    select run.id, run.spent, run.worker as silent,
           case
               when run.cancel_requested_at is not null then 'cancelled'
               when run.on_lost = 'hold' then 'held'
               when run.spent >= run.most_attempts then 'failed'
               else 'ready'
           end as goes
    from sexton.run
    left join sexton.worker on worker.id = run.worker
    where run.state = 'running'
      and run.worker is not null
      and coalesce(worker.seen_at, run.started_at) < now() - run.lease
      and (worker.seen_at = '-infinity' or run.lease <= make_interval(secs => $1))
      -- Asked once: all that is live is read only if there is reason to.
      and (select $2 or exists (select from silent))
    order by run.id
    limit 500
    for update of run skip locked
), gone as (
    delete from sexton.run
    using lost
    where run.id = lost.id
      and lost.goes in ('failed', 'cancelled')
    returning run.*, lost.goes
), kept as (
    insert into sexton.history (
        id, job, kind, state, due_at, first_due_at, priority, spec, own, lease, most_attempts, on_lost, schedule, nominal_at,
        caught_up, parent, chain, requested_by, created_at, spent, losses, token, worker, started_at, finished_at,
        attempts, why, help, cancel_by)
    select id, job, kind, goes::sexton.final_state, due_at, first_due_at, priority, spec, own, lease, most_attempts, on_lost,
           schedule, nominal_at, caught_up, parent, chain, requested_by, created_at, spent, losses + 1, token + 1,
           worker, started_at, clock_timestamp(), attempts,
           case when goes = 'cancelled' then coalesce(cancel_why, 'cancelled; its worker was lost')
                else 'its worker was lost ' || losses + 1 || ' times; the last of ' || most_attempts || ' attempts is spent' end,
           case when goes = 'failed'
                then 'look in the log of the daemon that held it for a crash or for lack of memory, then retry the run' end,
           cancel_by
    from gone
), back as (
    update sexton.run
    set state = lost.goes::sexton.live_state,
        worker = null,
        token = token + 1,
        losses = losses + 1,
        attempts = attempts || jsonb_build_object(
            'attempt', run.spent, 'token', token, 'worker', worker, 'started_at', started_at,
            'ended_at', clock_timestamp(), 'outcome', 'lost', 'why', 'its worker was silent for longer than the lease')
    from lost
    where run.id = lost.id
      and lost.goes in ('ready', 'held')
), cleared as (
    update sexton.worker
    set cleared_at = now()
    where id in (select id from silent)
      and cleared_at is null
      and seen_at + quiet < now()
      and not exists (select from sexton.run where run.worker = worker.id and run.state = 'running')
), forgotten as (
    delete from sexton.progress
    using lost
    where progress.run = lost.id
)
select run.id as run, run.job, run.kind, coalesce(spec.body, '{}') || coalesce(run.own, '{}') as spec, run.schedule, lost.spent as attempt, lost.silent as worker,
       lost.goes, run.cancel_by, run.chain,
       lost.goes in ('failed', 'cancelled') and run.leads as followed
from lost
join sexton.run using (id)
left join sexton.spec on spec.id = run.spec

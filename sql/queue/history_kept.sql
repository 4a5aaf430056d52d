-- History kept: which runs that ended in a state of $1 from $2 to before $3 stay when their partition goes. The last $4 runs and the
-- last success of a job do, and of a chain what a person can still go on with.
with recursive jobs as (
    -- One step an entry of the index for each job, however many runs it has.
    (select job
     from sexton.history
     where state = any ($1::text[]::sexton.final_state[]) and finished_at >= $2 and finished_at < $3
     order by job
     limit 1)
    union all
    select (select history.job
            from sexton.history
            where history.job > jobs.job
              and state = any ($1::text[]::sexton.final_state[]) and finished_at >= $2 and finished_at < $3
            order by history.job
            limit 1)
    from jobs
    where jobs.job is not null
), known as materialized (
    -- Of a job that nobody has or has heard of for long, nothing needs to stay.
    select jobs.job, health.last_success_run,
           coalesce((
               select newer.finished_at
               from sexton.history as newer
               where newer.job = jobs.job and newer.finished_at >= $2
               order by newer.finished_at desc
               offset $4::bigint - 1
               limit 1), '-infinity') as since
    from jobs
    left join sexton.health on health.subject = jobs.job
    where jobs.job is not null
      and (health.subject is not null or exists (select from sexton.job where job.name = jobs.job))
), later as materialized (
    -- Runs of chains that live or can be retried once these are gone: of what failed, the last to fail goes first.
    select id, chain from sexton.run where parent is not null
    union all
    select id, chain
    from sexton.history
    where parent is not null
      and state in ('failed', 'cancelled')
      and finished_at >= case when $1::text[] && array['failed', 'cancelled'] then $3::timestamptz else '-infinity' end
), linked as materialized (
    select id, chain
    from sexton.history
    where parent is not null
      and state = any ($1::text[]::sexton.final_state[]) and finished_at >= $2 and finished_at < $3
), kept as (
    select history.id, history.chain
    from known
    join sexton.history on history.job = known.job
        and history.finished_at >= greatest(known.since, $2)
        and state = any ($1::text[]::sexton.final_state[]) and finished_at < $3
    union
    select history.id, history.chain
    from known
    join sexton.history on history.id = known.last_success_run
        and state = any ($1::text[]::sexton.final_state[]) and finished_at >= $2 and finished_at < $3
    union
    -- The first of a chain.
    select history.id, history.chain
    from later
    join sexton.history on history.id = later.chain
        and state = any ($1::text[]::sexton.final_state[]) and finished_at >= $2 and finished_at < $3
    union
    -- The others.
    select linked.id, linked.chain
    from linked
    where exists (select from later where later.chain = linked.chain)
       or exists (select from sexton.run where run.id = linked.chain)
       or exists (
           select from sexton.history as first
           where first.id = linked.chain
             and first.state in ('failed', 'cancelled')
             and first.finished_at >= case when $1::text[] && array['failed', 'cancelled'] then $3::timestamptz else '-infinity' end)
)
select id from kept
union
-- What stays takes its chain with it.
select linked.id from linked join kept on kept.chain = linked.chain
union
select history.id
from kept
join sexton.history on history.id = kept.chain
    and state = any ($1::text[]::sexton.final_state[]) and finished_at >= $2 and finished_at < $3

-- Forget history: of the next $5 runs in no day's partition and in a state of $1 that ended more than $2 ago, after place ($3, $4), those
-- that nothing needs. The last $6 runs and the last success of a job stay, and of a chain what a person can still go on with.
with looked as materialized (
    select id, job, state, chain, finished_at
    from (
        select id, job, state, chain, finished_at from sexton.history_done_default
        union all
        select id, job, state, chain, finished_at from sexton.history_failed_default
    ) as loose
    where state = any ($1::text[]::sexton.final_state[])
      and finished_at < now() - $2::interval
      and (finished_at, id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::uuid, '00000000-0000-0000-0000-000000000000'))
    order by finished_at, id
    limit $5
), known as materialized (
    -- Of a job that nobody has or has heard of for long, nothing needs to stay.
    select named.job, health.last_success_run,
           coalesce((
               select newer.finished_at
               from sexton.history as newer
               where newer.job = named.job
               order by newer.finished_at desc
               offset $6::bigint - 1
               limit 1), '-infinity') as since
    from (select distinct job from looked) as named
    left join sexton.health on health.subject = named.job
    where health.subject is not null
       or exists (select from sexton.job where job.name = named.job)
), goes as materialized (
    select looked.id, looked.state, looked.finished_at
    from looked
    left join known on known.job = looked.job
    where (known.job is null
           or looked.finished_at < known.since and looked.id is distinct from known.last_success_run)
      and not exists (select from sexton.run where run.id = looked.chain)
      and not exists (select from sexton.run where run.chain = looked.chain and run.parent is not null)
      -- A run that can be retried needs those before it: of a chain the last to fail goes first, and what was done last.
      and not exists (
          select from sexton.history as other
          where (other.id = looked.chain or other.chain = looked.chain and other.parent is not null)
            and other.id <> looked.id
            and other.state in ('failed', 'cancelled')
            and (looked.state in ('done', 'skipped') or (other.finished_at, other.id) > (looked.finished_at, looked.id)))
), gone as (
    delete from sexton.history_done_default as history
    using goes
    where history.id = goes.id and history.state = goes.state and history.finished_at = goes.finished_at
    returning 1
), lost as (
    delete from sexton.history_failed_default as history
    using goes
    where history.id = goes.id and history.state = goes.state and history.finished_at = goes.finished_at
    returning 1
)
select (select count(*) from looked) as looked,
       (select count(*) from gone) + (select count(*) from lost) as gone,
       last.finished_at,
       last.id
from (values (1)) as one (row)
left join lateral (select finished_at, id from looked order by finished_at desc, id desc limit 1) as last on true

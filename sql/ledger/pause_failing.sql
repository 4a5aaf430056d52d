-- Pause schedule $1 in Sexton's name if its newest $2 firings (chains of runs) or more failed for good, since one was done
-- and since it was last resumed; a run of chain $3 has just failed, $4 says which. A firing that was skipped or cancelled,
-- or that is not over, neither counts nor ends the count.
with since as materialized (
    select max(coalesce(ended_at, until)) as at
    from sexton.schedule_pause
    where schedule = $1
      and coalesce(ended_at, until) <= clock_timestamp()
), recent as materialized (
    select id, state, created_at, finished_at
    from sexton.history
    cross join since
    where job = (select job from sexton.runs where id = $3)
      and schedule = $1
      and parent is null
      -- What a person asked for is no firing.
      and requested_by = 'schedule ' || $1
      and (since.at is null or finished_at > since.at)
    order by finished_at desc
    limit 1000
), firing as materialized (
    select finished_at, failed,
           state = 'done' and not failed
               and not exists (select from sexton.run where chain = recent.id and parent is not null) as done
    from recent
    cross join lateral (
        select state = 'failed' or exists (
            select from sexton.history
            where chain = recent.id
              and parent is not null
              and history.state = 'failed'
              and history.finished_at >= recent.created_at) as failed
    ) as ends
), counted as (
    select count(*) as failures
    from firing
    where failed
      and finished_at > coalesce((select max(finished_at) from firing where done), '-infinity')
)
insert into sexton.schedule_pause (schedule, reason, author, made_at)
select $1, format('it failed %s times in a row; the last to fail was %s', failures, $4::text), 'sexton', clock_timestamp()
from counted
where failures >= $2
  and not exists (
      select from sexton.schedule_pause
      where schedule = $1
        and ended_at is null
        and (until is null or until > clock_timestamp()))
returning id, schedule, reason, author, made_at, until as ends_at

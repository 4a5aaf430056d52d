-- Usual: how many seconds the last twenty runs of job $1 that were done took, in the middle.
select percentile_cont(0.5) within group (order by extract(epoch from last.finished_at - last.started_at))::float8
from (
    select started_at, finished_at
    from sexton.history
    where job = $1 and state = 'done' and started_at is not null
    order by finished_at desc
    limit 20
) as last

-- Usual: for each of the jobs $1, how many seconds its last twenty runs that were done took, in the middle.
select job.name, (
    select percentile_cont(0.5) within group (order by extract(epoch from last.finished_at - last.started_at))::float8
    from (
        select started_at, finished_at
        from sexton.history
        where history.job = job.name and state = 'done' and started_at is not null
        order by finished_at desc
        limit 20
    ) as last
) as seconds
from unnest($1::text[]) as job (name)

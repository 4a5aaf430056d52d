-- Usual: for each of the jobs $1, how many seconds the last twenty that were done of its last two hundred runs took, in the middle.
select job.name, (
    select percentile_cont(0.5) within group (order by extract(epoch from done.finished_at - done.started_at))::float8
    from (
        select started_at, finished_at
        from (
            select state, started_at, finished_at
            from sexton.history
            where history.job = job.name
            order by finished_at desc
            limit 200
        ) as last
        where state = 'done' and started_at is not null
        order by finished_at desc
        limit 20
    ) as done
) as seconds
from unnest($1::text[]) as job (name)

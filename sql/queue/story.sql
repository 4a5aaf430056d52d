-- Story: how run $1 stands, and what it logged after line $3 of the attempt with token $2, at most $4 lines; it lives, or is over since $5.
select runs.*, progress.done as progress_done, progress.total as progress_total, progress.unit as progress_unit,
       progress.note as progress_note, progress.at as progress_at,
       case when runs.state = 'running' then progress.rate end as progress_rate,
       run.pause_requested_at, run.pause_by, run.pause_why,
       (
           select coalesce(jsonb_agg(to_jsonb(told) order by told.token, told.line), '[]')
           from (
               select token, line, attempt, at, level, target, message, fields
               from sexton.run_log
               where run_log.run = $1
                 and (token, line) > ($2, $3)
               order by token, line
               limit $4
           ) as told
       ) as lines
from sexton.runs
left join sexton.progress on progress.run = runs.id and progress.token = runs.token
left join sexton.run on run.id = runs.id
where runs.id = $1
  and (runs.finished_at is null or runs.finished_at >= $5)

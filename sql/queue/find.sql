-- Find run $1, live or over since $2.
select runs.*, progress.done as progress_done, progress.total as progress_total, progress.unit as progress_unit,
       progress.note as progress_note, progress.at as progress_at,
       case when runs.state = 'running' then progress.rate end as progress_rate,
       run.pause_requested_at, run.pause_by, run.pause_why
from sexton.runs
left join sexton.progress on progress.run = runs.id and progress.token = runs.token
left join sexton.run on run.id = runs.id
where runs.id = $1
  and (runs.finished_at is null or runs.finished_at >= $2)

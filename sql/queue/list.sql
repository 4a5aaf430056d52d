-- List up to $5 runs, newest first: of job $1, in state $2, of schedule $3, older than run $4; null asks for all.
-- Only of runs from the id $7 on, which are over since $6 if they are over.
select runs.*, progress.done as progress_done, progress.total as progress_total, progress.unit as progress_unit,
       progress.note as progress_note, progress.at as progress_at,
       case when runs.state = 'running' then progress.rate end as progress_rate,
       run.pause_requested_at, run.pause_by, run.pause_why
from sexton.runs
left join sexton.progress on progress.run = runs.id and progress.token = runs.token
left join sexton.run on run.id = runs.id
where ($1::text is null or runs.job = $1)
  and ($2::text is null or runs.state = $2)
  and ($3::text is null or runs.schedule = $3)
  and ($4::uuid is null or runs.id < $4)
  and (runs.finished_at is null or runs.finished_at >= $6)
  and runs.id >= $7
order by runs.id desc
limit $5

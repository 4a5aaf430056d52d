-- Find run $1, live or final.
select runs.*, progress.done as progress_done, progress.total as progress_total, progress.unit as progress_unit,
       progress.note as progress_note, progress.at as progress_at
from sexton.runs
left join sexton.progress on progress.run = runs.id and progress.token = runs.token
where id = $1

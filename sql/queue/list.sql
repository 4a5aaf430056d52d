-- List up to $6 runs, newest first: of job $1, in state $2, of schedule $3, of chain $4, older than run $5; null asks for all.
select runs.*, progress.done as progress_done, progress.total as progress_total, progress.unit as progress_unit,
       progress.note as progress_note, progress.at as progress_at
from sexton.runs
left join sexton.progress on progress.run = runs.id and progress.token = runs.token
where ($1::text is null or job = $1)
  and ($2::text is null or state = $2)
  and ($3::text is null or schedule = $3)
  and ($4::uuid is null or chain = $4)
  and ($5::uuid is null or id < $5)
order by id desc
limit $6

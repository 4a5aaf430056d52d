-- List rare: up to $6 runs, newest first, where few are like this: of job $1, in state $2, of schedule $3, of chain $4, older than run $5;
-- null asks for all. Of what is over only since $7. In the order of a text, so that they are looked up by what they are.
select runs.*, progress.done as progress_done, progress.total as progress_total, progress.unit as progress_unit,
       progress.note as progress_note, progress.at as progress_at,
       case when runs.state = 'running' then progress.rate end as progress_rate,
       run.pause_requested_at, run.pause_by, run.pause_why
from sexton.runs
left join sexton.progress on progress.run = runs.id and progress.token = runs.token
left join sexton.run on run.id = runs.id
where ($1::text is null or runs.job = $1)
  and ($2::text is null or runs.state = $2)
  -- So that only the part of the history is looked at that can have it.
  and ($2::text is null or runs.outcome is null
       or runs.outcome = case when $2 in ('done', 'skipped', 'failed', 'cancelled') then $2::text::sexton.final_state end)
  and ($3::text is null or runs.schedule = $3)
  and ($4::uuid is null or runs.id = $4 or (runs.chain = $4 and runs.parent is not null))
  and ($5::uuid is null or runs.id < $5)
  and (runs.finished_at is null or runs.finished_at >= $7)
order by runs.id::text collate "C" desc
limit $6

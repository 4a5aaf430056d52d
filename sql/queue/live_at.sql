-- Live at: runs of job $1 that were live at the instant $2, the oldest first.
select id, state, requested_by, created_at, finished_at
from sexton.runs
where job = $1
  and created_at <= $2
  and (finished_at is null or finished_at > $2)
order by created_at
limit 5

-- Of slots: runs of job $1 that slots of schedule $2 from $3 to before $4 have or had, also by a backfill, the oldest first.
select id, nominal_at, state, requested_by
from sexton.runs
where job = $1
  and schedule = $2
  and nominal_at >= $3
  and nominal_at < $4
  and parent is null
  and (finished_at is null or finished_at >= $3)
order by nominal_at, created_at

-- The report of the last run of job $1 that has one and ended since $2: what its next run compares with.
select report
from sexton.history
where job = $1
  and finished_at >= $2
  and state in ('done', 'failed')
  and report <> '{}'
order by finished_at desc
limit 1

-- The report of the last run of job $1 that has one: what its next run compares with.
select report
from sexton.history
where job = $1
  and state in ('done', 'failed')
  and report <> '{}'
order by finished_at desc
limit 1

-- Held: the runs that worker $1 holds, and who asked to cancel them.
select id as run, token, job, kind, cancel_by
from sexton.run
where worker = $1
  and state = 'running'

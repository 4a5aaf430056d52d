-- Held in all: every run that worker $1 holds, and who asked to cancel or to pause it. This reads all that is live.
select id as run, token, job, kind, cancel_by, cancel_at_once,
       case when pause_requested_at is not null then coalesce(pause_by, '') end as pause_by, pause_why
from sexton.run
where worker = $1
  and state = 'running'

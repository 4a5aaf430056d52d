-- Deferred: until when the newest waiting run of each of the schedules $1 waits.
select schedule, max(due_at) as until
from sexton.run
where schedule = any ($1)
  and nominal_at is not null
  and parent is null
  and state = 'waiting'
group by schedule

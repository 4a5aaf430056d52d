-- Lanes of: the lane of run $1, if it is ready and not paused.
select lane
from sexton.run
where id = $1
  and state = 'ready'
  and pause_requested_at is null

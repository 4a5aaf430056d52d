-- Lanes free: the ranks of the first $1 ready runs that need nothing and that nothing limits.
select rank
from sexton.run
where state = 'ready'
  and lane = 0
  and pause_requested_at is null
order by rank
limit $1

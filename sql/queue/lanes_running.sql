-- Lanes running: the attempts that hold gates.
select lane, started_at
from sexton.run
where worker is not null
  and state = 'running'
  and lane > 0

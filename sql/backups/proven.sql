-- When the newest proven backup of a name ($2) in a vault ($1) was taken.
select max(taken_at)
from sexton.backup
where vault = $1
  and name = $2
  and state in ('proven', 'sampled')
  and deleted_at is null

-- The rows of data set $1 (its table) that are held by name.
select name, reason, until, held_by, held_at
from sexton.hold
where dataset = $1
order by held_at, name

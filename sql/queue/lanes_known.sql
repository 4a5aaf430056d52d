-- Lanes known: what the lanes $1 need and are limited by.
select id, needs, gates
from sexton.lane
where id = any ($1)

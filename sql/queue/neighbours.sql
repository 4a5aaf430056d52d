-- Neighbours: other workers whose process text starts with $1 (same boot, same pid namespace).
select id, process
from sexton.worker
where starts_with(process, $1)
  and seen_at > '-infinity'

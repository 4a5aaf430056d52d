-- Lanes has: what each living worker but $1 has.
select has
from sexton.worker
where id <> $1
  and seen_at > now() - interval '60 seconds'

-- What claimed runs need besides their rows: when each of the jobs $1 last succeeded, and the snapshots $2.
select subject, last_success_at, null::uuid as spec, null::jsonb as body
from sexton.health
where subject = any ($1)
union all
select null, null, id, body
from sexton.spec
where id = any ($2)

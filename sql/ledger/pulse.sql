-- Say that daemon $1 lives, and tell what is active.
with alive as (
    update sexton.daemon_files set seen_at = now() where daemon = $1 returning 1
)
select id as revision, digest, applied_by, (
    select count(*)
    from sexton.daemon_files
    where daemon <> $1 and state <> 'current' and seen_at > now() - interval '1 minute'
) as others, exists (select from alive) as known
from sexton.revision
order by id desc
limit 1

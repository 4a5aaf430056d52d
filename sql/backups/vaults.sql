-- How many bytes of backups each vault has.
select vault, sum(bytes)::bigint as bytes
from sexton.backup
where deleted_at is null
group by vault

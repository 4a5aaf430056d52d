-- The backups of a vault ($1), or those of a name ($2), that are known and were there, with the looks that are known.
select stem, looked_at
from sexton.backup
where vault = $1
  and ($2::text is null or name = $2)
  and deleted_at is null

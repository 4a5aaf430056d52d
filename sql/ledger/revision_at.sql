-- The revision that decided at the instant $1: the newest that was applied before it.
select id, digest, files, applied_at, applied_by from sexton.revision where applied_at < $1 order by id desc limit 1

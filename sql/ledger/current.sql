-- The current revision: the newest one.
select id, digest, files, applied_at, applied_by from sexton.revision order by id desc limit 1

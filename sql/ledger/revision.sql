-- Revision $1, whole.
select id, digest, files, applied_at, applied_by from sexton.revision where id = $1

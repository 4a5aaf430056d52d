-- The newest $1 revisions, without their files.
select id, digest, '{}'::jsonb as files, applied_at, applied_by from sexton.revision order by id desc limit $1

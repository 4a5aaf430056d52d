-- Known: schedule $1, also a removed one.
select name, job, watermark, revision, enabled, removed_at from sexton.schedule where name = $1

-- Every schedule that the ledger knows, also removed ones.
select name, job, watermark, revision, enabled, removed_at from sexton.schedule order by name

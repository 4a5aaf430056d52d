-- Forget backups that were deleted more than 400 days ago.
delete from sexton.backup
where deleted_at < now() - interval '400 days'

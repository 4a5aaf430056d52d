-- Forget up to $2 backups that were deleted more than $1 ago.
delete from sexton.backup
where ctid = any (array(select ctid from sexton.backup where deleted_at < now() - $1::interval limit $2))

-- Forget what the vault $1 is said to have.
delete from sexton.backup
where vault = $1
  and deleted_at is null

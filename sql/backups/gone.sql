-- Write down that the vault $1 has none but these ($3) of the backups of a name ($2), or of all.
update sexton.backup
set deleted_at = now()
where vault = $1
  and ($2::text is null or name = $2)
  and deleted_at is null
  and not stem = any ($3)

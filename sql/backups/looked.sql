-- Write down what a newer look at a known backup found.
update sexton.backup
set state = $3,
    looked_at = $4,
    proven_at = coalesce($5, proven_at),
    restore_seconds = coalesce($6, restore_seconds)
where vault = $1
  and stem = $2

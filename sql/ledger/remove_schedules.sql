-- Remove every schedule that revision $1 did not save.
update sexton.schedule set removed_at = now() where revision <> $1 and removed_at is null

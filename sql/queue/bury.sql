-- Bury workers $1, which are surely dead: whatever they held is lost at once.
update sexton.worker
set seen_at = '-infinity',
    cleared_at = null
where id = any($1)

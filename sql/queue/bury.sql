-- Bury workers $1, which are surely dead: whatever they held is lost at once.
update sexton.worker
set seen_at = '-infinity'
where id = any($1)
